"""The shapes as Locust's picker shows them. USERS is the peak, RUN_TIME how long it takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from locust import LoadTestShape

from loadtest import profiles
from loadtest.launch import FIND_THE_LIMIT, SECONDS, SOAK_SECONDS
from loadtest.measures import Window
from loadtest.profiles import LimitSearch
from loadtest.settings import limits

USERS = 50
LEAST_PER_SECOND = 10.0


class Shape(LoadTestShape):
    """A shape of ours, which heeds the form's fields. Locust asks it from the button on; its time begins later."""

    abstract = True
    use_common_options = True
    is_held = False

    def elapsed(self) -> float:
        return 0.0 if self.is_held else float(self.get_run_time())  # type: ignore[no-untyped-call]

    def options(self) -> Any:
        assert self.runner is not None
        return self.runner.environment.parsed_options


class Profiled(Shape):
    abstract = True
    profile: profiles.Profile
    default_seconds = SECONDS

    def tick(self) -> tuple[int, float] | None:
        options = self.options()
        seconds = float(options.run_time or self.default_seconds)
        peak = int(options.num_users or USERS)
        elapsed = self.elapsed()
        if elapsed >= seconds:
            return None
        users = max(1, round(peak * type(self).profile(elapsed / seconds)))
        return users, float(options.spawn_rate or max(LEAST_PER_SECOND, peak / 5))


class Steady(Profiled):
    profile = staticmethod(profiles.steady)


class Ramp(Profiled):
    profile = staticmethod(profiles.ramp)


class Spike(Profiled):
    profile = staticmethod(profiles.spike)


class DoubleWave(Profiled):
    profile = staticmethod(profiles.double_wave)


class Steps(Profiled):
    profile = staticmethod(profiles.steps)


class Soak(Profiled):
    profile = staticmethod(profiles.soak)
    default_seconds = SOAK_SECONDS


class FindTheLimit(Shape):
    """More users with every step, until a limit breaks. USERS is the first step."""

    search: LimitSearch | None = None
    _before = 0.0

    def tick(self) -> tuple[int, float] | None:
        assert self.runner is not None
        options, elapsed = self.options(), self.elapsed()
        if self.search is None or elapsed < self._before:  # another test
            known = limits()
            window, plan = Window(self.runner.environment), known["find_limit"]
            self.search = LimitSearch(window, plan, known["limits"], users=options.num_users or 0)
        self._before = elapsed
        if options.run_time and elapsed >= options.run_time:
            return None
        steps = len(self.search.steps)
        users = self.search.tick(elapsed)
        if len(self.search.steps) > steps:
            print(self.search.steps[-1].in_words(), flush=True)
        return None if users is None else (users, max(LEAST_PER_SECOND, users / 3))


SHAPES = {
    "steady": Steady,
    "ramp": Ramp,
    "spike": Spike,
    "double-wave": DoubleWave,
    "steps": Steps,
    "soak": Soak,
    FIND_THE_LIMIT: FindTheLimit,
}


def name_of(shape: object) -> str:
    """The name of a shape as SHAPE takes it; empty for none of ours."""
    return next((name for name, known in SHAPES.items() if isinstance(shape, known)), "")


@contextmanager
def waiting_for_baseline(shape: Any) -> Iterator[None]:
    """Keep a shape at its beginning while the baseline is being read."""
    if isinstance(shape, Shape):
        shape.is_held = True
    try:
        yield
    finally:
        if isinstance(shape, Shape):
            shape.reset_time()  # type: ignore[no-untyped-call]
            shape.is_held = False

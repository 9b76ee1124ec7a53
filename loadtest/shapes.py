"""The shapes as Locust's shape picker shows them. USERS is the peak, RUN_TIME how long it takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from locust import LoadTestShape

from loadtest import profiles
from loadtest.climb import Climb
from loadtest.launch import SECONDS, SOAK_SECONDS
from loadtest.measure import Window
from loadtest.settings import limits

USERS = 50
LEAST_PER_SECOND = 10.0


class Profiled(LoadTestShape):
    """A shape that follows a profile."""

    abstract = True
    use_common_options = True
    profile: profiles.Profile
    default_seconds = SECONDS

    def tick(self) -> tuple[int, float] | None:
        options = self._options()
        seconds = float(options.run_time or self.default_seconds)
        peak = int(options.num_users or USERS)
        elapsed = _elapsed(self)
        if elapsed >= seconds:
            return None
        users = max(1, round(peak * type(self).profile(elapsed / seconds)))
        return users, float(options.spawn_rate or max(LEAST_PER_SECOND, peak / 5))

    def _options(self) -> Any:
        assert self.runner is not None
        return self.runner.environment.parsed_options


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


class FindTheLimit(LoadTestShape):
    """More users with every step, until a limit breaks. USERS is the first step."""

    use_common_options = True
    climb: Climb | None = None
    _before = 0.0

    def tick(self) -> tuple[int, float] | None:
        assert self.runner is not None
        options: Any = self.runner.environment.parsed_options
        elapsed = _elapsed(self)
        if self.climb is None or elapsed < self._before:  # another test
            known = limits()
            self.climb = Climb(
                Window(self.runner.environment), known["find_limit"], known["limits"], users=options.num_users or 0
            )
        self._before = elapsed
        if options.run_time and elapsed >= options.run_time:
            return None
        steps = len(self.climb.steps)
        users = self.climb.tick(elapsed)
        if len(self.climb.steps) > steps:
            print(self.climb.steps[-1].in_words(), flush=True)
        return None if users is None else (users, max(LEAST_PER_SECOND, users / 3))


def name_of(shape: object) -> str:
    """The name of a shape as people write it; empty if it is none of ours."""
    return next((name for name, known in SHAPES.items() if isinstance(shape, known)), "")


@contextmanager
def held(shape: Any) -> Iterator[None]:
    """Locust asks a shape from the button on; its time begins only after this, when the system has been looked at."""
    if shape is not None:
        shape.is_held = True
    try:
        yield
    finally:
        if shape is not None:
            shape.reset_time()
            shape.is_held = False


def _elapsed(shape: Any) -> float:
    return 0.0 if getattr(shape, "is_held", False) else float(shape.get_run_time())


SHAPES = {
    "steady": Steady,
    "ramp": Ramp,
    "spike": Spike,
    "double-wave": DoubleWave,
    "steps": Steps,
    "soak": Soak,
    "find-the-limit": FindTheLimit,
}

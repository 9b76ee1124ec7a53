"""Find the limit: more users with every step, until a limit breaks. Pure; the caller has the clock and the measures.

A step that breaks a limit is measured once more: something else may have kept the machine busy.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from loadtest.verdict import Measured, broken

MOST_STEPS = 30


@dataclass(frozen=True)
class Step:
    """What one step measured."""

    users: int
    votes_per_second: float
    vote_p99_ms: float | None
    vote_to_screen_p99_ms: float | None
    error_rate: float
    busiest: str  # the process that used most of a core, and how much
    broken: str  # the limits that broke

    def in_words(self) -> str:
        return (
            f"{self.users:5} users  {self.votes_per_second:7.1f} votes/s  p99 {_ms(self.vote_p99_ms)}  "
            f"to screen p99 {_ms(self.vote_to_screen_p99_ms)}  errors {self.error_rate:.2%}  busiest: {self.busiest}"
            + (f"  BROKEN: {self.broken}" if self.broken else "")
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Meter(Protocol):
    """Measures from `start` to `stop`."""

    def start(self) -> None: ...
    def stop(self) -> tuple[Measured, str]: ...


class Climb:
    """Climbs step by step; `tick` is to be called every second or so, once the users asked for are there."""

    def __init__(self, meter: Meter, plan: Mapping[str, float], limits: Mapping[str, float], *, users: int = 0) -> None:
        self.steps: list[Step] = []
        self._meter = meter
        self._plan = plan
        self._limits = limits
        self._users = users or int(plan["first_users"])
        self._began: float | None = None
        self._measuring: float | None = None

    def tick(self, now: float) -> int | None:
        """How many users there are to be now; None when the limit is found."""
        if self._began is None:
            self._began = now
        elif self._measuring is None:
            if now - self._began >= self._plan["settle_seconds"]:
                self._measuring = now
                self._meter.start()
        elif now - self._measuring >= self._plan["measure_seconds"]:
            return self._next()
        return self._users

    def _next(self) -> int | None:
        measured, busiest = self._meter.stop()
        figures = measured.figures()
        step = Step(
            users=self._users,
            votes_per_second=round(measured.votes_per_second, 1),
            vote_p99_ms=figures["vote_p99_ms"],
            vote_to_screen_p99_ms=figures["vote_to_screen_p99_ms"],
            error_rate=measured.error_rate,
            busiest=busiest,
            broken=broken(measured, self._limits),
        )
        self.steps.append(step)
        self._began = self._measuring = None
        again = [one for one in self.steps if one.users == step.users]
        if (step.broken and len(again) > 1) or len(self.steps) >= MOST_STEPS:
            return None
        if not step.broken:
            self._users = max(self._users + 1, round(self._users * self._plan["growth"]))
        return self._users

    @property
    def held(self) -> Step | None:
        """The last step that kept the limits."""
        return next((step for step in reversed(self.steps) if not step.broken), None)

    def in_words(self) -> list[str]:
        """What was found."""
        lines = [step.in_words() for step in self.steps]
        held = self.held
        if held is None:
            return [*lines, "no step held: begin with fewer users, e.g. USERS=10"]
        found = (
            f"the limit: {held.votes_per_second:g} votes/s held, with {held.users} users, p99 {_ms(held.vote_p99_ms)}, "
            f"vote to screen p99 {_ms(held.vote_to_screen_p99_ms)}"
        )
        if not self.steps[-1].broken:
            return [*lines, found, "it was not reached before the time was over"]
        return [*lines, found, f"busiest beyond it: {self.steps[-1].busiest}"]


def _ms(value: float | None) -> str:
    return "not measured" if value is None else f"{value:g} ms"

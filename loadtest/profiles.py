"""How a load develops over time: profiles, the search for the limit, and the open model's schedule. Pure."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from loadtest.figures import Measured, broken

# From the share of the time that has passed to the share of the users.
Profile = Callable[[float], float]

MOST_STEPS = 30


def steady(_: float) -> float:
    """Everybody from the beginning."""
    return 1.0


def ramp(time: float) -> float:
    """Evenly up to everybody."""
    return time


def spike(time: float) -> float:
    """A few; everybody at once in the middle fifth; then a few again."""
    return 1.0 if 0.4 <= time < 0.6 else 0.1


def double_wave(time: float) -> float:
    """Two waves of the same height, with a trough of half the users between them."""
    first, second = (math.exp(-(((time - peak) / 0.12) ** 2)) for peak in (0.28, 0.72))
    return max(0.1, min(1.0, first + second + 0.5 * math.exp(-(((time - 0.5) / 0.15) ** 2))))


def steps(time: float) -> float:
    """Another fifth of the users with every fifth of the time."""
    return min(5, int(5 * time) + 1) / 5


def soak(time: float) -> float:
    """Everybody for a long time, after a gentle start."""
    return min(1.0, 0.1 + time / 0.05)


@dataclass
class Schedule:
    """The open model: votes are due at even intervals, however long the answers take.

    A closed model waits for an answer before it sends the next vote: a system that stalls is asked less, and the stall
    is measured once ("coordinated omission"). Here each vote is measured from when it was due, its wait included.
    """

    per_second: float
    began: float
    given: int = 0

    def next_due(self) -> float:
        """When the next vote is due; none is skipped, however late it is."""
        due = self.began + self.given / self.per_second
        self.given += 1
        return due


@dataclass(frozen=True)
class Step:
    """What one step of the search measured."""

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


class Meter(Protocol):
    def start(self) -> None: ...
    def stop(self) -> tuple[Measured, str]: ...


class LimitSearch:
    """More users with every step until a limit breaks, twice: once may be somebody else's load on the machine.

    Call `tick` every second or so, once the users it asked for have arrived.
    """

    def __init__(self, meter: Meter, plan: Mapping[str, float], limits: Mapping[str, float], *, users: int = 0) -> None:
        self.steps: list[Step] = []
        self._meter = meter
        self._plan = plan
        self._limits = limits
        self._users = users or int(plan["first_users"])
        self._began: float | None = None
        self._measuring: float | None = None

    def tick(self, now: float) -> int | None:
        """How many users there should be now; None when the limit is found."""
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
        tries = sum(one.users == step.users for one in self.steps)
        if (step.broken and tries > 1) or len(self.steps) >= MOST_STEPS:
            return None
        if not step.broken:
            self._users = max(self._users + 1, round(self._users * self._plan["growth"]))
        return self._users

    @property
    def best(self) -> Step | None:
        """The last step within the limits."""
        return next((step for step in reversed(self.steps) if not step.broken), None)

    def in_words(self) -> list[str]:
        lines = [step.in_words() for step in self.steps]
        best = self.best
        if best is None:
            return [*lines, "no step stayed within the limits: begin with fewer users, e.g. USERS=10"]
        found = (
            f"the limit: {best.votes_per_second:g} votes/s with {best.users} users, p99 {_ms(best.vote_p99_ms)}, "
            f"vote to screen p99 {_ms(best.vote_to_screen_p99_ms)}"
        )
        if not self.steps[-1].broken:
            return [*lines, found, "the run ended before a limit was reached"]
        return [*lines, found, f"busiest beyond it: {self.steps[-1].busiest}"]


def _ms(value: float | None) -> str:
    return "not measured" if value is None else f"{value:g} ms"

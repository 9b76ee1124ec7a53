"""Limits: whether they hold, and the climb that finds where they break."""

import pytest

from loadtest.climb import Climb
from loadtest.settings import limits
from loadtest.verdict import Measured, broken, judge

LIMITS = {"error_rate": 0.01, "vote_p95_ms": 100, "vote_p99_ms": 200, "vote_to_screen_p99_ms": 300}


def measured(*, requests: int = 100, failures: int = 0, vote_ms: int = 50, screen_ms: int = 50) -> Measured:
    return Measured(
        seconds=10,
        requests=requests,
        failures=failures,
        votes=requests - failures,
        vote_times={vote_ms: requests},
        screen_times={screen_ms: requests},
    )


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (measured(failures=2), "error_rate"),
        (measured(vote_ms=150), "vote_p95_ms"),
        (measured(vote_ms=250), "vote_p99_ms"),
        (measured(screen_ms=301), "vote_to_screen_p99_ms"),
    ],
)
def test_each_limit_can_break(wrong: Measured, name: str) -> None:
    assert name in broken(wrong, LIMITS)
    assert broken(measured(failures=1, vote_ms=100, screen_ms=300), LIMITS) == ""


def test_what_was_not_measured_breaks_no_limit_and_is_said() -> None:
    nothing = Measured(seconds=1, requests=0, failures=0, votes=0, vote_times={}, screen_times={})

    assert broken(nothing, LIMITS) == ""
    assert "not measured" in judge(nothing, LIMITS)[1].in_words()


def test_the_limits_file_names_figures_that_exist() -> None:
    assert set(limits()["limits"]) == set(measured().figures())


class FakeMeter:
    """A system that gets too slow beyond a number of users."""

    def __init__(self, bears: int) -> None:
        self.users = 0
        self._bears = bears

    def start(self) -> None: ...

    def stop(self) -> tuple[Measured, str]:
        return measured(vote_ms=50 if self.users <= self._bears else 999), "vote (99% of a core)"


def climb(bears: int, *, users: int = 10, meter: FakeMeter | None = None, steps: int = 99) -> Climb:
    meter = meter or FakeMeter(bears)
    plan = {"first_users": 50, "growth": 2, "settle_seconds": 2, "measure_seconds": 3}
    found = Climb(meter, plan, LIMITS, users=users)
    now = 0.0
    wanted: int | None = users
    while wanted is not None and len(found.steps) < steps:
        meter.users = wanted
        wanted = found.tick(now)
        now += 1
    return found


def test_the_limit_is_the_last_step_that_held() -> None:
    found = climb(bears=50)

    assert [step.users for step in found.steps] == [10, 20, 40, 80, 80]
    assert "with 40 users" in found.in_words()[-2]
    assert "vote (99% of a core)" in found.in_words()[-1]


def test_a_step_that_broke_by_chance_is_measured_again() -> None:
    class Hiccup(FakeMeter):
        looks = 0

        def stop(self) -> tuple[Measured, str]:
            self.looks += 1
            return measured(vote_ms=999 if self.looks == 2 else 50), "vote"

    meter = Hiccup(bears=0)
    found = climb(bears=0, meter=meter, steps=4)

    assert [step.users for step in found.steps] == [10, 20, 20, 40]


def test_a_limit_below_the_first_step_is_said() -> None:
    assert "fewer users" in climb(bears=1).in_words()[-1]


def test_a_limit_that_is_never_reached_ends() -> None:
    assert "not reached" in climb(bears=10**12).in_words()[-1]

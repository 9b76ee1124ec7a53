"""The pure parts: percentiles, limits, profiles and the search for the limit, the open model, outages, comparisons."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import profiles
from loadtest.compare import is_worse, side_by_side
from loadtest.drill import Events, outage
from loadtest.figures import Measured, broken, judge, percentile, since, together
from loadtest.profiles import LimitSearch, Schedule
from loadtest.settings import limits

LIMITS = {"error_rate": 0.01, "vote_p95_ms": 100, "vote_p99_ms": 200, "vote_to_screen_p99_ms": 300}

times = st.lists(st.integers(0, 5000), min_size=1, max_size=50)


@given(times, st.floats(0.01, 1))
def test_a_percentile_is_the_nearest_rank(values: list[int], share: float) -> None:
    assert percentile(Counter(values), share) == sorted(values)[math.ceil(share * len(values)) - 1]


def test_nothing_has_no_percentile() -> None:
    assert percentile({}, 0.99) is None


@given(times, times)
def test_what_came_since_and_what_was_before_make_the_whole(before: list[int], later: list[int]) -> None:
    whole = Counter(before) + Counter(later)

    assert together([Counter(before), since(whole, Counter(before))]) == whole


def test_a_histogram_that_was_reset_is_all_new() -> None:
    assert since({5: 1}, {5: 10}) == {5: 1}


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


@pytest.mark.parametrize(
    "profile",
    [profiles.steady, profiles.ramp, profiles.spike, profiles.double_wave, profiles.steps, profiles.soak],
)
def test_a_shape_stays_between_nobody_and_everybody_and_reaches_its_peak(profile: Callable[[float], float]) -> None:
    shares = [profile(step / 1000) for step in range(1000)]

    assert all(0 <= share <= 1 for share in shares)
    assert max(shares) > 0.95


def test_a_double_wave_has_two_crests_and_a_trough() -> None:
    low, first, trough, second = (profiles.double_wave(time) for time in (0.0, 0.28, 0.5, 0.72))

    assert low < trough < min(first, second)


class FakeMeter:
    """A system that gets too slow beyond a number of users."""

    def __init__(self, bears: int) -> None:
        self.users = 0
        self._bears = bears

    def start(self) -> None: ...

    def stop(self) -> tuple[Measured, str]:
        return measured(vote_ms=50 if self.users <= self._bears else 999), "vote (99% of a core)"


def search(bears: int, *, meter: FakeMeter | None = None, steps: int = 99) -> LimitSearch:
    meter = meter or FakeMeter(bears)
    plan = {"first_users": 10, "growth": 2, "settle_seconds": 2, "measure_seconds": 3}
    found = LimitSearch(meter, plan, LIMITS)
    now = 0.0
    wanted: int | None = 10
    while wanted is not None and len(found.steps) < steps:
        meter.users = wanted
        wanted = found.tick(now)
        now += 1
    return found


def test_the_limit_is_the_last_step_within_the_limits() -> None:
    found = search(bears=50)

    assert [step.users for step in found.steps] == [10, 20, 40, 80, 80]
    assert "with 40 users" in found.in_words()[-2]
    assert "vote (99% of a core)" in found.in_words()[-1]


def test_a_step_that_broke_by_chance_is_measured_again() -> None:
    class Hiccup(FakeMeter):
        looks = 0

        def stop(self) -> tuple[Measured, str]:
            self.looks += 1
            return measured(vote_ms=999 if self.looks == 2 else 50), "vote"

    found = search(bears=0, meter=Hiccup(bears=0), steps=4)

    assert [step.users for step in found.steps] == [10, 20, 20, 40]


def test_a_limit_below_the_first_step_is_said() -> None:
    assert "fewer users" in search(bears=1).in_words()[-1]


def test_a_search_that_never_reaches_a_limit_ends() -> None:
    assert "before a limit was reached" in search(bears=10**12).in_words()[-1]


def test_in_the_open_model_no_vote_is_skipped() -> None:
    schedule = Schedule(per_second=10, began=100)

    assert [schedule.next_due() for _ in range(4)] == [100.0, 100.1, 100.2, 100.3]


def every_tenth(begin: float, end: float) -> Iterator[float]:
    return (begin + step / 10 for step in range(round((end - begin) * 10)))


def test_an_outage_lasts_until_all_is_well_again() -> None:
    accepted = [*every_tenth(0, 10), *every_tenth(13, 30)]
    seen = [(at + 0.1, at) for at in (*every_tenth(0, 10), *every_tenth(14, 30))]
    events = Events(accepted=accepted, failed=[10.5, 11.0], seen=seen)

    found = outage("redis", 10.0, 30.0, events)

    assert found.not_accepted == 2
    assert found.voters_seconds == pytest.approx(3.0)
    assert found.viewers_seconds == pytest.approx(4.1)
    assert found.recovered_seconds == pytest.approx(4.1)


def test_a_kill_that_nobody_noticed_is_over_at_once() -> None:
    steady = list(every_tenth(0, 30))
    found = outage("worker", 10.0, 30.0, Events(accepted=steady, seen=[(at, at) for at in steady]))

    assert found.recovered_seconds == pytest.approx(0.0, abs=0.2)


def test_a_system_that_never_recovered_is_reported() -> None:
    found = outage("redis", 10.0, 30.0, Events(accepted=list(every_tenth(0, 10)), seen=[]))

    assert found.recovered_seconds is None
    assert "NOT RECOVERED" in found.in_words()


def row(name: str = "POST /", *, requests: int = 1000, **times: int) -> dict[str, Any]:
    return {"name": name, "requests": requests, "p50_ms": 10, "p95_ms": 20, "p99_ms": 30, **times}


def result(**figures: Any) -> dict[str, Any]:
    plain = {"run": "r", "audit": {"lost": 0, "doubled": 0, "reverted": 0}, "votes_per_second": 100.0, "votes": 1000}
    times = {"vote_p95_ms": 20, "vote_p99_ms": 30, "vote_to_screen_p99_ms": 90}
    return {**plain, "error_rate": 0.0, **times, "table": [row(), row("WS vote to screen")], **figures}


def worse(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [line for line in side_by_side(before, after) if line.endswith("WORSE")]


def test_runs_alike_are_not_worse() -> None:
    assert not worse(result(), result(vote_p95_ms=23))


@pytest.mark.parametrize(
    "figures",
    [
        {"vote_p99_ms": 60},
        {"vote_to_screen_p99_ms": 160},
        {"votes_per_second": 70.0},
        {"error_rate": 0.02},
        {"audit": {"lost": 1, "doubled": 0, "reverted": 0}},
        {"table": [row(p50_ms=30), row("WS vote to screen")]},
    ],
)
def test_what_got_worse_is_marked(figures: dict[str, Any]) -> None:
    assert len(worse(result(), result(**figures))) == 1


@pytest.mark.parametrize(
    ("requests", "marked"), [(5, []), (60, ["p50"]), (200, ["p50", "p95"]), (500, ["p50", "p95", "p99"])]
)
@pytest.mark.parametrize("turned", [False, True], ids=["in the later run", "in the earlier run"])
def test_a_percentile_of_too_few_requests_is_no_reason_to_worry(requests: int, marked: list[str], turned: bool) -> None:
    few, many = (requests, 1000) if turned else (1000, requests)
    before = result(table=[row(requests=few)])
    after = result(table=[row(requests=many, p50_ms=90, p95_ms=90, p99_ms=90)])
    lines = list(side_by_side(before, after))
    assert [line.split()[2][:3] for line in lines if line.endswith("WORSE")] == marked
    unsure = [line for line in lines if line.endswith(f"perhaps: only {requests} requests")]
    assert len(unsure) == 3 - len(marked)


def test_a_lost_vote_is_worse_however_few_requests_there_were() -> None:
    lost = {"audit": {"lost": 1, "doubled": 0, "reverted": 0}, "votes": 1, "table": []}
    assert len(worse(result(), result(**lost))) == 1


def test_a_figure_that_is_missing_is_not_worse() -> None:
    assert not is_worse(None, 10)
    assert not is_worse(10, None)

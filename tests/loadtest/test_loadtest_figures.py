"""The pure parts of the load test: figures, shapes, the open model, outages, comparisons."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import profiles
from loadtest.compare import is_worse, side_by_side
from loadtest.figures import percentile, since, together
from loadtest.open_model import Schedule, corrected_seconds
from loadtest.outages import Events, outage
from loadtest.timeline import MOST_POINTS, Timeline

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


def test_a_histogram_that_began_anew_is_all_new() -> None:
    assert since({5: 1}, {5: 10}) == {5: 1}


@pytest.mark.parametrize(
    "profile",
    [
        profiles.steady,
        profiles.ramp,
        profiles.spike,
        profiles.double_wave,
        profiles.steps,
        profiles.soak,
    ],
)
def test_a_shape_stays_between_nobody_and_all_and_reaches_its_peak(profile: Callable[[float], float]) -> None:
    shares = [profile(step / 1000) for step in range(1000)]

    assert all(0 <= share <= 1 for share in shares)
    assert max(shares) > 0.95


def test_a_double_wave_has_two_crests_and_a_trough() -> None:
    low, first, trough, second = (profiles.double_wave(time) for time in (0.0, 0.28, 0.5, 0.72))

    assert low < trough < min(first, second)


def test_in_the_open_model_nobody_is_left_out() -> None:
    schedule = Schedule(per_second=10, began=100)

    assert [schedule.next_due() for _ in range(4)] == [100.0, 100.1, 100.2, 100.3]


def test_a_stall_counts_for_all_who_came_during_it() -> None:
    """One answer of two seconds and then quick ones: a closed model would see one slow vote in twenty."""
    schedule = Schedule(per_second=10, began=0)
    free = 0.0
    waited, naive = [], []
    for number in range(20):
        due = schedule.next_due()
        sent = max(due, free)
        free = sent + (2.0 if number == 0 else 0.01)
        naive.append(free - sent)
        waited.append(corrected_seconds(due=due, answered=free))

    assert sum(seconds > 0.5 for seconds in naive) == 1
    assert sum(seconds > 0.5 for seconds in waited) > 10


def every_tenth(begin: float, end: float) -> Iterator[float]:
    return (begin + step / 10 for step in range(round((end - begin) * 10)))


def test_an_outage_lasts_until_all_is_well_again() -> None:
    accepted = [*every_tenth(0, 10), *every_tenth(13, 30)]
    seen = [(at + 0.1, at) for at in (*every_tenth(0, 10), *every_tenth(14, 30))]
    events = Events(accepted=accepted, failed=[10.5, 11.0], seen=seen)

    felt = outage("redis", 10.0, 30.0, events)

    assert felt.not_accepted == 2
    assert felt.voters_seconds == pytest.approx(3.0)
    assert felt.viewers_seconds == pytest.approx(4.1)
    assert felt.recovered_seconds == pytest.approx(4.1)


def test_a_kill_that_nobody_felt_is_over_at_once() -> None:
    steady = list(every_tenth(0, 30))
    felt = outage("worker", 10.0, 30.0, Events(accepted=steady, seen=[(at, at) for at in steady]))

    assert felt.recovered_seconds == pytest.approx(0.0, abs=0.2)


def test_what_never_recovered_is_said() -> None:
    felt = outage("redis", 10.0, 30.0, Events(accepted=list(every_tenth(0, 10)), seen=[]))

    assert felt.recovered_seconds is None
    assert "NOT RECOVERED" in felt.in_words()


def test_a_long_run_has_no_longer_a_timeline() -> None:
    timeline = Timeline()
    for second in range(10_000):
        timeline.look(2.0 * second, {50: second + 1})

    assert MOST_POINTS / 3 < len(timeline.points) <= MOST_POINTS
    assert timeline.points[-1].second > 0.9 * 20_000
    assert timeline.svg().count("<polyline") == 3


def test_a_run_without_news_has_an_empty_chart() -> None:
    assert "no news" in Timeline().svg()


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
def test_a_percentile_of_too_few_requests_is_no_reason_to_cry(requests: int, marked: list[str], turned: bool) -> None:
    few, many = (requests, 1000) if turned else (1000, requests)
    before = result(table=[row(requests=few)])
    after = result(table=[row(requests=many, p50_ms=90, p95_ms=90, p99_ms=90)])
    lines = list(side_by_side(before, after))
    assert [line.split()[2][:3] for line in lines if line.endswith("WORSE")] == marked
    unsure = [line for line in lines if line.endswith(f"perhaps: only {requests} requests")]
    assert len(unsure) == 3 - len(marked)


def test_a_lost_vote_is_worse_whatever_the_number_of_requests() -> None:
    lost = {"audit": {"lost": 1, "doubled": 0, "reverted": 0}, "votes": 1, "table": []}
    assert len(worse(result(), result(**lost))) == 1


def test_a_figure_that_is_missing_is_not_worse() -> None:
    assert not is_worse(None, 10)
    assert not is_worse(10, None)

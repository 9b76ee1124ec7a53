"""How long news took to reach a screen, and what slow dashboards missed."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from common.ballot import Ballot, Option
from result.board import Board
from result.news import News
from result.tally import Hint, Tally
from result.viewers import Viewers
from tests.watchers import watching

BALLOT = Ballot.of((Option("a", "Cats"), Option("b", "Dogs")))


class Rise:
    """How much numbers have risen since the test began."""

    def __init__(self) -> None:
        self._before = {name: self._now(name) for name in self.NAMES}

    NAMES = (
        "recorded_to_screen_seconds_count",
        "recorded_to_screen_seconds_sum",
        "cast_to_screen_seconds_count",
        "cast_to_screen_seconds_sum",
        "snapshots_sent_total",
        "snapshots_dropped_total",
    )

    def of(self, name: str) -> float:
        return self._now(name) - self._before[name]

    @staticmethod
    def _now(name: str) -> float:
        return REGISTRY.get_sample_value(name) or 0.0


@pytest.fixture
def rise() -> Rise:
    return Rise()


async def test_news_is_measured_when_it_was_sent_to_a_viewer(rise: Rise) -> None:
    viewers = Viewers()
    viewers.show("before")
    with watching(viewers) as viewer:
        viewer.become_slow()
        viewers.show("news", News(Hint(time.perf_counter() - 3), datetime.now(UTC) - timedelta(seconds=5)))
        await asyncio.sleep(0)
        assert rise.of("recorded_to_screen_seconds_count") == 0  # it is being sent
        viewer.become_quick()
        await viewer.until(2)

    assert rise.of("recorded_to_screen_seconds_count") == rise.of("cast_to_screen_seconds_count") == 1
    assert 3 <= rise.of("recorded_to_screen_seconds_sum") < 4
    assert 5 <= rise.of("cast_to_screen_seconds_sum") < 6


async def test_what_was_shown_before_a_viewer_came_is_no_news_to_it(rise: Rise) -> None:
    viewers = Viewers()
    viewers.show("old", News(Hint(time.perf_counter() - 3600), None))
    with watching(viewers) as viewer:
        viewers.show("next")
        await viewer.until(2)

    assert rise.of("recorded_to_screen_seconds_count") == 0


async def test_snapshots_that_a_slow_viewer_missed_are_counted(rise: Rise) -> None:
    viewers = Viewers()
    viewers.show("before")
    with watching(viewers) as viewer:
        for number in range(10):
            viewers.show(str(number))
        await viewer.until(2)

    assert rise.of("snapshots_dropped_total") == 9
    assert rise.of("snapshots_sent_total") == 2


@pytest.mark.parametrize(("as_of", "measured"), [(None, 0), (1.0, 0), (2.0, 1)])
async def test_only_a_newer_vote_is_timed_from_its_cast(rise: Rise, as_of: float | None, measured: int) -> None:
    """A tally that changed without one was changed by hand."""
    viewers = Viewers()
    board = Board(BALLOT, viewers)
    board.show(tally(1, 1.0))
    with watching(viewers) as viewer:
        board.show(tally(2, as_of))
        await viewer.until(2)

    assert rise.of("cast_to_screen_seconds_count") == measured


def test_when_the_tally_was_read_is_told() -> None:
    board = Board(BALLOT, Viewers())
    read = tally(1, None)
    board.show(read)

    assert REGISTRY.get_sample_value("tally_read_timestamp_seconds") == read.read_at.timestamp()


def tally(votes: int, as_of: float | None) -> Tally:
    return Tally({"a": votes}, None if as_of is None else datetime.fromtimestamp(as_of, UTC), datetime.now(UTC))

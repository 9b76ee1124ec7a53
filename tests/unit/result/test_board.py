"""The board shows what is new at once, and the same again and again."""

import asyncio
from datetime import UTC, datetime

import pytest

from common.ballot import Ballot, Option
from result import board as board_module
from result.board import Board
from result.news import News
from result.tally import Tally
from result.viewers import Viewers
from tests.watchers import watching

BALLOT = Ballot.of((Option("a", "Cats"), Option("b", "Dogs")))


class CountingViewers(Viewers):
    shown = 0

    def show(self, snapshot: str, news: News | None = None) -> None:
        self.shown += 1


def read_now(votes: int) -> Tally:
    return Tally({"a": votes}, None, datetime.now(UTC))


def test_an_unchanged_tally_is_not_shown_again() -> None:
    viewers = CountingViewers()
    board = Board(BALLOT, viewers)
    board.show(read_now(1))
    board.show(read_now(1))

    assert viewers.shown == 1


async def test_a_heartbeat_shows_the_tally_again_also_when_nobody_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a dashboard can say since when the tally is stale."""
    monkeypatch.setattr(board_module, "HEARTBEAT_SECONDS", 0.01)
    viewers = Viewers()
    board = Board(BALLOT, viewers)
    board.show(read_now(1))
    beating = asyncio.create_task(board.beat())

    with watching(viewers) as viewer:
        first, *others = await viewer.until(3)
        assert others == [first] * len(others)
    beating.cancel()


def test_a_changed_tally_is_shown_at_once() -> None:
    viewers = CountingViewers()
    board = Board(BALLOT, viewers)
    board.show(read_now(1))
    board.show(read_now(2))

    assert viewers.shown == 2

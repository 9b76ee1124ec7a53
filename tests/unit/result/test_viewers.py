"""Viewers get the newest snapshot; a slow one misses those between and holds up nobody."""

import asyncio
from datetime import UTC, datetime

import pytest

from common.ballot import Ballot, Option
from result import board as board_module
from result.board import Board
from result.news import News
from result.tally import Tally
from result.viewers import Viewers


async def test_a_viewer_gets_the_newest_snapshot_at_once() -> None:
    viewers = Viewers()
    viewers.show("old")
    viewers.show("new")

    assert await anext(viewers.watch()) == "new"


async def test_a_slow_viewer_misses_snapshots_but_never_the_newest() -> None:
    viewers = Viewers()
    viewers.show("0")
    watch = viewers.watch()
    await anext(watch)
    for number in range(1, 1000):
        viewers.show(str(number))

    assert await anext(watch) == "999"


async def test_a_viewer_who_comes_before_the_first_snapshot_waits_for_it() -> None:
    viewers = Viewers()
    first = asyncio.ensure_future(anext(viewers.watch()))
    await asyncio.sleep(0)
    assert not first.done()

    viewers.show("first")

    assert await first == "first"


async def test_closing_ends_every_watch() -> None:
    viewers = Viewers()
    viewers.show("shown")

    async def watch() -> list[str]:
        return [snapshot async for snapshot in viewers.watch()]

    watching = [asyncio.create_task(watch()) for _ in range(3)]
    await asyncio.sleep(0)
    viewers.close()

    async with asyncio.timeout(10):
        assert await asyncio.gather(*watching) == [["shown"]] * 3


async def test_a_viewer_who_left_is_forgotten() -> None:
    viewers = Viewers()
    viewers.show("shown")
    watch = viewers.watch()
    await anext(watch)

    await watch.aclose()  # type: ignore[attr-defined]

    assert not viewers._wakes


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
    watch = viewers.watch()
    beating = asyncio.create_task(board.beat())

    async with asyncio.timeout(10):
        assert await anext(watch) == await anext(watch) == await anext(watch)
    beating.cancel()


def test_a_changed_tally_is_shown_at_once() -> None:
    viewers = CountingViewers()
    board = Board(BALLOT, viewers)
    board.show(read_now(1))
    board.show(read_now(2))

    assert viewers.shown == 2

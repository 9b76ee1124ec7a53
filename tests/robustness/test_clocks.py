"""Clocks that jump: no vote is lost, the last one counts, and nothing old looks fresh."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from asyncpg import Connection

from common.ballot import Ballot, Option
from common.vote_queue import VoteQueue
from local import servers
from result import board as board_module
from result.board import STALE_SECONDS, Board
from result.tally import Tally
from result.viewers import Viewers
from tests.fakes import message
from tests.services import Service, service
from worker.batch import QueueHead
from worker.count import count_batch

LIBRARIES = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), *Path("/usr/lib").glob("faketime/libfaketime.so.1")]
YEAR_OF_SECONDS = 365 * 24 * 3600


class Clocks:
    """The wall clock, which can be set, and the steady one, which can't."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 1, 1, 12, tzinfo=UTC)
        self.steady = 1000.0

    def now(self, _: object = None) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def pass_seconds(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.steady += seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr(board_module, "datetime", clocks)
    monkeypatch.setattr(board_module, "time", clocks)
    return clocks


@pytest.fixture
def board(clocks: Clocks) -> Board:
    board = Board(Ballot.of((Option("a", "Cats"), Option("b", "Dogs"))), Viewers())
    board.show(Tally({"a": 1}, None, clocks.now()))
    return board


def test_a_tally_becomes_stale_although_the_clock_was_set_back(board: Board, clocks: Clocks) -> None:
    clocks.wall -= timedelta(hours=1)
    assert board.stale_since() is None

    clocks.pass_seconds(STALE_SECONDS + 1)

    assert board.stale_since() is not None
    assert datetime.fromisoformat(board.snapshot()["read_at"]) < clocks.now() - timedelta(seconds=STALE_SECONDS)


def test_a_tally_that_is_read_again_is_fresh_after_any_jump(board: Board, clocks: Clocks) -> None:
    for jump in (timedelta(days=3), timedelta(days=-7)):
        clocks.wall += jump
        board.show(Tally({"a": 2}, None, clocks.now()))
        assert board.stale_since() is None


@pytest.mark.parametrize("jump", [YEAR_OF_SECONDS, -YEAR_OF_SECONDS])
async def test_the_last_vote_counts_whatever_the_clock_said_when_it_was_cast(
    queue: VoteQueue, connection: Connection, jump: int
) -> None:
    """The queue's order decides, not `cast_at`; and a time that is yet to come is nobody's `as_of`."""
    now = time.time()
    await queue.push([message("v", "a", cast_at=now), message("v", "b", cast_at=now + jump)])
    await count_batch(connection, queue, QueueHead(queue, 1))
    await count_batch(connection, queue, QueueHead(queue, 1))

    assert await connection.fetchval("SELECT vote FROM votes") == "b"
    as_of = datetime.fromtimestamp(now + jump, UTC) if jump < 0 else None
    assert await connection.fetchval("SELECT as_of FROM tallies WHERE vote = 'b'") == as_of


@pytest.fixture
def jumping(redis: servers.Server, queue: VoteQueue, tmp_path: Path) -> Iterator[tuple[Service, Path]]:
    """A vote service whose clock is set by a file, while it runs."""
    if not LIBRARIES:
        pytest.skip("libfaketime is not installed")
    clock = tmp_path / "clock"
    clock.write_text("+0d")
    faked = {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with service("vote", redis_url=redis.url, **faked) as vote:
        vote.until_ready()
        yield vote, clock


async def test_voters_stay_who_they_are_when_the_clock_of_vote_jumps(
    jumping: tuple[Service, Path], queue: VoteQueue, connection: Connection
) -> None:
    vote, clock = jumping
    async with httpx.AsyncClient(timeout=20) as voter:
        for option, days in (("a", 0), ("b", 400), ("a", -400), ("b", -400)):
            set_to(clock, days)
            assert abs(clock_of(vote) - time.time() - days * 86400) < 3600
            answer = await voter.post(f"{vote.url}/api/votes", json={"vote": option})
            assert answer.status_code == 202
        assert "your vote" in (await voter.get(vote.url)).text.lower()
    await count_batch(connection, queue, QueueHead(queue, 100))

    assert [row["vote"] for row in await connection.fetch("SELECT vote FROM votes")] == ["b"]
    assert vote.is_ready()


def set_to(clock: Path, days: int) -> None:
    """All at once: libfaketime ends a process that finds the file empty."""
    new = clock.with_name("new")
    new.write_text(f"{days:+}d")
    new.replace(clock)


def clock_of(vote: Service) -> float:
    """What time a service thinks it is."""
    date = vote.get("/healthz").headers["Date"]
    return datetime.strptime(date, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).timestamp()

"""Peek, record, settle, with the real queue and the real database."""

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest
from asyncpg import Connection

from common.message import Vote, encode
from common.vote_queue import Peek, VoteQueue
from tests.fakes import FakeVoteQueue, message
from tests.integration.counting import votes_in
from tests.waiting import eventually_async
from worker.batch import QueueHead
from worker.count import count_batch

pytestmark = pytest.mark.platform


class Crash(Exception):
    """The worker dies here."""


class CrashingQueue(FakeVoteQueue):
    """A queue whose worker dies before it settles, as often as told."""

    def __init__(self, crashes: int) -> None:
        super().__init__()
        self.crashes = crashes

    async def settle(self, peek: Peek) -> bool:
        if self.crashes:
            self.crashes -= 1
            raise Crash
        return await super().settle(peek)


async def tallies(connection: Connection) -> dict[str, int]:
    return {row["vote"]: row["votes"] for row in await connection.fetch("SELECT vote, votes FROM tallies")}


async def test_votes_are_recorded_and_leave_the_queue(connection: Connection, queue: VoteQueue) -> None:
    await queue.push([message("v", "a"), message("w", "b")])

    assert await count_batch(connection, queue, QueueHead(queue, 100)) == 2
    assert await votes_in(connection) == {"v": "a", "w": "b"}
    assert await queue.waiting() == 0


async def test_voting_again_changes_the_vote_and_adds_none(connection: Connection, queue: VoteQueue) -> None:
    await queue.push([message("v", "a")])
    await count_batch(connection, queue, QueueHead(queue, 100))
    await queue.push([message("v", "b"), message("v", "c")])
    await count_batch(connection, queue, QueueHead(queue, 100))

    assert await votes_in(connection) == {"v": "c"}
    assert await tallies(connection) == {"c": 1}


async def test_the_last_vote_in_the_queue_wins_whatever_the_clocks_say(
    connection: Connection, queue: VoteQueue
) -> None:
    await queue.push([message("v", "a", cast_at=2000.0), message("v", "b", cast_at=1000.0)])

    await count_batch(connection, queue, QueueHead(queue, 1))
    await count_batch(connection, queue, QueueHead(queue, 1))

    assert await votes_in(connection) == {"v": "b"}


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
async def test_a_worker_that_dies_before_it_settles_counts_nothing_twice(connection: Connection, limit: int) -> None:
    queue = CrashingQueue(crashes=4)
    await queue.push([message("v", "a"), message("w", "b"), message("v", "c"), message("x", "a"), message("w", "a")])

    head = QueueHead(queue, limit)
    while queue.messages:
        try:
            await count_batch(connection, queue, head)
        except Crash:
            head = QueueHead(queue, limit)  # the next worker's, who finds the queue as it was

    assert await votes_in(connection) == {"v": "c", "w": "a", "x": "a"}
    assert await tallies(connection) == {"c": 1, "a": 2}


async def test_the_ancestors_messages_are_counted(connection: Connection, queue: VoteQueue) -> None:
    await queue.push([b'{"voter_id": "1f2e3d4c5b6a798", "vote": "a"}'])

    await count_batch(connection, queue, QueueHead(queue, 100))

    assert await votes_in(connection) == {"1f2e3d4c5b6a798": "a"}


async def test_when_a_vote_was_cast_is_kept_to_the_microsecond(connection: Connection, queue: VoteQueue) -> None:
    cast_at = datetime(2026, 11, 22, 16, 0, 0, 123457, UTC)
    await queue.push([encode(Vote("v", "a", cast_at))])

    await count_batch(connection, queue, QueueHead(queue, 100))

    assert await connection.fetchval("SELECT cast_at FROM votes") == cast_at
    assert await connection.fetchval("SELECT max(as_of) FROM tallies") == cast_at


async def test_a_lost_connection_records_nothing_and_settles_nothing(
    connection: Connection, database: str, queue: VoteQueue
) -> None:
    await queue.push([message("v", "a")])
    await connection.execute(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
    )
    await connection.execute("CREATE TRIGGER die AFTER INSERT ON votes EXECUTE FUNCTION die()")

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await count_batch(connection, queue, QueueHead(queue, 100))

    other = await asyncpg.connect(database)
    assert await votes_in(other) == {}
    assert await queue.waiting() == 1
    await other.close()


async def test_of_a_reset_nothing_from_before_is_recorded_after_it(
    connection: Connection, database: str, queue: VoteQueue
) -> None:
    """A batch that is being recorded holds the reset up; the next one finds an empty queue."""
    other = await asyncpg.connect(database)
    await queue.push([message("before", "a")])
    await count_batch(connection, queue, QueueHead(queue, 100))
    await queue.push([message("also before", "a")])
    async with other.transaction():
        await other.execute("TRUNCATE votes")
        batch = asyncio.create_task(count_batch(connection, queue, QueueHead(queue, 100)))
        await eventually_async(lambda: other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"), within=20)
        await queue.drop_all()
    await batch

    assert await votes_in(connection) == {}
    assert await queue.waiting() == 0
    await other.close()

"""A tally that disagrees with the votes is found and counted anew, and costs no vote.

A tally that is too low makes the CHECK on `tallies` fail within the trigger, as soon as a vote changes.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime

import asyncpg
import pytest
from asyncpg import Connection
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from common.tasks import end
from common.vote_queue import VoteQueue
from local import servers
from tests.fakes import message
from tests.integration.counting import (
    WITHIN_SECONDS,
    counting,
    rejected_in,
    tallies_are_right,
    until_empty,
    votes_in,
)
from tests.waiting import eventually_async
from worker import tallies
from worker.batch import QueueHead
from worker.count import count_batch
from worker.tallies import heal_tallies

pytestmark = pytest.mark.platform

VOTERS = [f"voter {number}" for number in range(30)]

DAMAGES = {
    "emptied": "TRUNCATE tallies",
    "one row gone": "DELETE FROM tallies WHERE vote = 'a'",
    "too low": "UPDATE tallies SET votes = 1",
    "too high": "UPDATE tallies SET votes = votes + 1000",
    "as high as can be": f"UPDATE tallies SET votes = {2**63 - 1}",
    "an option that nobody has": "INSERT INTO tallies VALUES ('q', 7)",
    "a time that never comes": "UPDATE tallies SET as_of = 'infinity'",
    "gone": "DROP TABLE tallies",
    "not to be written to": "ALTER TABLE tallies ADD CHECK (votes < 29) NOT VALID",
}
HEAL_BY_HAND = {"not to be written to": "ALTER TABLE tallies DROP CONSTRAINT tallies_votes_check1"}


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare often enough for a test."""
    monkeypatch.setattr(tallies, "COMPARE_EVERY_SECONDS", 0.1)


@pytest.fixture
def healed() -> Callable[[], float]:
    """How often tallies were healed since the test began."""

    def read() -> float:
        return REGISTRY.get_sample_value("tallies_healed_total") or 0.0

    before = read()
    return lambda: read() - before


async def cast(queue: VoteQueue, option: str) -> None:
    await queue.push([message(voter, option) for voter in VOTERS])


@pytest.mark.parametrize("damage", DAMAGES)
async def test_no_wrong_tally_costs_a_vote_and_every_one_is_healed(
    database: str, connection: Connection, queue: VoteQueue, redis: servers.Server, often: None, damage: str
) -> None:
    async with counting(database, queue, batch_size=7) as worker:
        await cast(queue, "a")
        await until_empty(queue)

        await connection.execute(DAMAGES[damage])
        await cast(queue, "b")
        if damage in HEAL_BY_HAND:
            await worker.until("failing", saying="tallies_votes_check")
            await connection.execute(HEAL_BY_HAND[damage])
        await until_empty(queue)

        async def right() -> bool:
            return await tallies_are_right(connection)

        await eventually_async(right, within=WITHIN_SECONDS, despite=(asyncpg.UndefinedTableError,))
        await worker.until("counting")

    assert await votes_in(connection) == dict.fromkeys(VOTERS, "b")
    assert await rejected_in(redis) == []
    assert await connection.fetchval("SELECT count(*) FROM tallies WHERE as_of = 'infinity'") == 0


async def test_triggers_that_were_off_for_a_while_cost_no_vote(
    database: str, connection: Connection, queue: VoteQueue, redis: servers.Server, often: None
) -> None:
    async with counting(database, queue, batch_size=7) as worker:
        await cast(queue, "a")
        await until_empty(queue)
        await connection.execute("ALTER TABLE votes DISABLE TRIGGER USER")
        await cast(queue, "b")
        await until_empty(queue)
        await connection.execute("ALTER TABLE votes ENABLE TRIGGER USER")
        await cast(queue, "c")
        await until_empty(queue)

        async def right() -> bool:
            return await tallies_are_right(connection)

        await eventually_async(right, within=WITHIN_SECONDS)
        await worker.until("counting")

    assert await votes_in(connection) == dict.fromkeys(VOTERS, "c")
    assert await rejected_in(redis) == []


async def test_a_check_that_fails_in_the_middle_of_a_batch_records_and_rejects_nothing(
    connection: Connection, queue: VoteQueue, redis: servers.Server
) -> None:
    await queue.push([message("v", "a"), message("w", "a")])
    await count_batch(connection, queue, QueueHead(queue, 100))
    await connection.execute("TRUNCATE tallies")
    await queue.push([message("new", "c"), message("v", "b"), b"nonsense", message("w", "b")])

    with pytest.raises(asyncpg.CheckViolationError):
        await count_batch(connection, queue, QueueHead(queue, 100))

    assert await votes_in(connection) == {"v": "a", "w": "a"}
    assert await queue.waiting() == 4
    assert await rejected_in(redis) == []

    await heal_tallies(connection)
    assert await count_batch(connection, queue, QueueHead(queue, 100)) == 4
    assert await votes_in(connection) == {"v": "b", "w": "b", "new": "c"}
    assert [note["message"] for note in await rejected_in(redis)] == ["nonsense"]


async def test_a_worker_that_takes_over_heals_and_says_so_once(
    database: str, connection: Connection, queue: VoteQueue, healed: Callable[[], float]
) -> None:
    await connection.execute("INSERT INTO votes (voter_id, vote) VALUES ('v', 'a'), ('w', 'b')")
    await connection.execute("UPDATE tallies SET votes = 5 WHERE vote = 'a'")
    await connection.execute("DELETE FROM tallies WHERE vote = 'b'")

    with capture_logs() as lines:
        async with counting(database, queue) as worker:
            await worker.until("counting")

    assert await tallies_are_right(connection)
    assert healed() == 1
    (line,) = [line for line in lines if line["event"] == "tallies_healed"]
    assert line["log_level"] == "warning"
    assert line["differences"] == {"a": "5 instead of 1", "b": "0 instead of 1"}
    assert (REGISTRY.get_sample_value("tallies_compared_timestamp_seconds") or 0) > 0


async def test_right_tallies_are_left_alone(connection: Connection, healed: Callable[[], float]) -> None:
    await connection.execute("INSERT INTO votes (voter_id, vote, cast_at) VALUES ('v', 'a', now()), ('w', 'b', NULL)")
    await connection.execute("UPDATE votes SET vote = 'b'")
    before = await connection.fetch("SELECT xmin, * FROM tallies")

    await heal_tallies(connection)

    assert await connection.fetch("SELECT xmin, * FROM tallies") == before
    assert healed() == 0


async def test_whoever_writes_votes_does_not_hold_up_a_comparison(connection: Connection, database: str) -> None:
    """And is no difference before it commits: both tables are read at one moment."""
    other = await asyncpg.connect(database)
    async with other.transaction():
        await other.execute("INSERT INTO votes (voter_id, vote) VALUES ('v', 'a')")
        async with asyncio.timeout(30):
            await heal_tallies(connection)
    await other.close()

    assert await tallies_are_right(connection)


async def test_a_recount_is_right_whoever_writes_meanwhile(connection: Connection, database: str) -> None:
    async def write(seed: int) -> None:
        rng = random.Random(seed)
        writer = await asyncpg.connect(database)
        try:
            while True:
                await writer.execute(
                    "INSERT INTO votes (voter_id, vote) SELECT * FROM unnest($1::text[], $2::text[])"
                    " ON CONFLICT (voter_id) DO UPDATE SET vote = excluded.vote",
                    sorted(rng.sample(VOTERS, 5)),
                    rng.choices("abc", k=5),
                )
        except asyncpg.CheckViolationError:
            pass  # it met a tally that was too low
        finally:
            writer.terminate()

    for round_ in range(5):
        writers = [asyncio.create_task(write(10 * round_ + number)) for number in range(3)]
        await connection.execute("UPDATE tallies SET votes = votes + 100")
        await heal_tallies(connection)
        await end(*writers)

        assert await tallies_are_right(connection)


@pytest.mark.parametrize("cast_at", ["infinity", "-infinity", "9999-12-31", "20000-01-01", "0044-03-15 BC"])
async def test_a_time_that_can_not_be_is_kept_with_its_vote_and_is_nobodys_as_of(
    connection: Connection, queue: VoteQueue, cast_at: str
) -> None:
    """Recording goes on, too."""
    await connection.execute(f"INSERT INTO votes (voter_id, vote, cast_at) VALUES ('v', 'a', '{cast_at}')")
    await connection.execute(f"INSERT INTO votes (voter_id, vote, cast_at) VALUES ('w', 'a', '{cast_at}')")
    assert await connection.fetchval("SELECT max(as_of) FROM tallies") is None
    await connection.execute(f"UPDATE votes SET cast_at = '{cast_at}' WHERE voter_id = 'w'")
    assert await connection.fetchval("SELECT max(as_of) FROM tallies") is None
    assert await connection.fetchval(f"SELECT cast_at = '{cast_at}' FROM votes WHERE voter_id = 'w'")

    now = datetime.now(UTC)
    await queue.push([message("v", "b", cast_at=now.timestamp()), message("x", "a", cast_at=253402300799)])
    await count_batch(connection, queue, QueueHead(queue, 100))

    assert await votes_in(connection) == {"v": "b", "w": "a", "x": "a"}
    assert await connection.fetchval("SELECT max(as_of) FROM tallies") == now
    await connection.execute("DELETE FROM votes WHERE voter_id = 'v'")
    assert await connection.fetchval("SELECT max(as_of) FROM tallies") is None

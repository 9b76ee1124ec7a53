"""Of two votes of one voter whose numbers are of one series the higher number counts, whatever the queue's order."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from asyncpg import Connection
from msgspec import structs
from prometheus_client import REGISTRY

from common.message import Vote, encode
from common.vote_queue import VoteQueue
from tests.fakes import message
from tests.integration.counting import tallies_are_right
from tests.unit.worker.test_batch import Row, apply
from worker.batch import QueueHead
from worker.count import count_batch

pytestmark = pytest.mark.platform

START = datetime(2026, 1, 1, tzinfo=UTC)


async def count_all(connection: Connection, queue: VoteQueue, limit: int = 100) -> None:
    head = QueueHead(queue, limit)
    while await count_batch(connection, queue, head):
        pass


async def table(connection: Connection) -> dict[str, Row]:
    rows = await connection.fetch("SELECT voter_id, vote, cast_at, series, number FROM votes")
    return {row["voter_id"]: Row(*list(row)[1:]) for row in rows}


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_a_vote_that_was_pushed_late_does_not_replace_a_later_one(
    connection: Connection, queue: VoteQueue, limit: int
) -> None:
    """Service A was paused with the voter's first vote, the voter voted again at B, then A went on."""
    await queue.push([message("v", "b", series=0, number=3), message("v", "a", series=0, number=2)])

    await count_all(connection, queue, limit)

    assert (await table(connection))["v"] == Row("b", None, 0, 3)


def random_votes(rng: random.Random, number: int) -> list[Vote]:
    weights = rng.choice([(1, 0), (0, 1), (1, 1)])
    votes = []
    for _ in range(number):
        vote = Vote(rng.choice("uvw"), rng.choice("abc"), START + timedelta(seconds=rng.randint(0, 3)))
        if rng.choices([True, False], weights)[0]:
            vote = structs.replace(vote, series=rng.randint(0, 1), number=rng.randint(1, 4))
        votes.append(vote)
    return votes


def random_rows(rng: random.Random) -> dict[str, Row]:
    numbers = [(None, None), (0, rng.randint(1, 4)), (1, rng.randint(1, 4)), (None, 3), (1, None)]
    voters = rng.sample("uvwx", rng.randint(0, 4))
    return {voter: Row(rng.choice("abc"), None, *rng.choice(numbers)) for voter in voters}


@pytest.mark.parametrize("seed", range(8))
async def test_any_batches_do_to_any_rows_what_their_votes_do_one_after_the_other(
    connection: Connection, queue: VoteQueue, seed: int
) -> None:
    """And once more, when they are replayed."""
    rng = random.Random(seed)
    for _ in range(12):
        rows, votes = random_rows(rng), random_votes(rng, rng.randint(1, 12))
        await connection.execute("TRUNCATE votes")
        insert = "INSERT INTO votes (voter_id, vote, cast_at, series, number) VALUES ($1, $2, $3, $4, $5)"
        await connection.executemany(insert, [(voter, *row) for voter, row in rows.items()])

        for _ in ("once", "replayed"):
            await queue.push([encode(vote) for vote in votes])
            await count_all(connection, queue, rng.choice([1, 3, 100]))

            assert await table(connection) == apply(rows, votes), (rows, votes)
            assert await tallies_are_right(connection)


@pytest.fixture
def rise() -> Callable[[str], float]:
    names = ("recorded", "changed", "replayed", "outdated")
    before = {name: REGISTRY.get_sample_value(f"votes_{name}_total") or 0.0 for name in names}
    return lambda name: (REGISTRY.get_sample_value(f"votes_{name}_total") or 0.0) - before[name]


@pytest.mark.parametrize("limit", [1, 100])
async def test_votes_that_a_higher_number_kept_out_are_counted(
    connection: Connection, queue: VoteQueue, rise: Callable[[str], float], limit: int
) -> None:
    await queue.push([message("v", "a", number=number) for number in (2, 5, 4, 3)] + [message("w", "a")])

    await count_all(connection, queue, limit)

    assert (rise("recorded"), rise("changed"), rise("outdated"), rise("replayed")) == (5, 1, 2, 0)


async def test_a_numbered_vote_that_is_replayed_is_not_outdated(
    connection: Connection, queue: VoteQueue, rise: Callable[[str], float]
) -> None:
    for _ in range(2):
        await queue.push([message("v", "a", number=2), message("w", "b", number=7)])
        await count_all(connection, queue)

    assert (rise("recorded"), rise("changed"), rise("outdated"), rise("replayed")) == (4, 0, 0, 2)

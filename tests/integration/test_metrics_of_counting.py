"""The worker's numbers say what became of the votes."""

from collections.abc import Callable

import pytest
from asyncpg import Connection
from prometheus_client import REGISTRY

from common.vote_queue import VoteQueue
from tests.fakes import message
from tests.integration.test_counting import Crash, CrashingQueue
from worker.batch import QueueHead
from worker.count import count_batch

Rise = Callable[[str], float]


@pytest.fixture
def rise() -> Rise:
    """How much a number has risen since the test began."""
    names = ("recorded", "changed", "replayed", "rejected")
    before = {name: REGISTRY.get_sample_value(f"votes_{name}_total") or 0.0 for name in names}
    return lambda name: (REGISTRY.get_sample_value(f"votes_{name}_total") or 0.0) - before[name]


async def test_a_voters_first_vote_is_recorded_and_changes_nothing(
    connection: Connection, queue: VoteQueue, rise: Rise
) -> None:
    await queue.push([message("v", "a"), message("w", "b")])
    await count_batch(connection, queue, QueueHead(queue, 100))

    assert (rise("recorded"), rise("changed"), rise("replayed"), rise("rejected")) == (2, 0, 0, 0)


@pytest.mark.parametrize("limit", [1, 100])
async def test_a_vote_that_replaced_another_is_changed_in_one_batch_or_in_two(
    connection: Connection, queue: VoteQueue, rise: Rise, limit: int
) -> None:
    await queue.push([message("v", "a"), message("v", "b"), message("v", "c")])
    while await count_batch(connection, queue, QueueHead(queue, limit)):
        pass

    assert (rise("recorded"), rise("changed"), rise("replayed")) == (3, 2, 0)


async def test_a_batch_that_was_recorded_and_not_settled_is_replayed(connection: Connection, rise: Rise) -> None:
    queue = CrashingQueue(crashes=1)
    await queue.push([message("v", "a", cast_at=1.0), message("w", "b", cast_at=2.0)])
    with pytest.raises(Crash):
        await count_batch(connection, queue, QueueHead(queue, 100))
    await queue.push([message("x", "a", cast_at=3.0)])

    await count_batch(connection, queue, QueueHead(queue, 100))

    assert (rise("recorded"), rise("changed"), rise("replayed")) == (3, 0, 2)


async def test_what_the_database_refuses_is_rejected_and_the_others_are_recorded(
    connection: Connection, queue: VoteQueue, rise: Rise
) -> None:
    await connection.execute("ALTER TABLE votes ADD CHECK (vote <> 'z')")
    await queue.push([b"nonsense", message("v", "z"), message("w", "a"), message("x", "a"), message("x", "b")])

    await count_batch(connection, queue, QueueHead(queue, 100))

    assert (rise("recorded"), rise("changed"), rise("replayed"), rise("rejected")) == (3, 1, 0, 2)


async def test_the_time_from_cast_to_recorded_is_measured_for_each_vote_that_knows_it(
    connection: Connection, queue: VoteQueue
) -> None:
    def measured() -> float:
        return REGISTRY.get_sample_value("cast_to_recorded_seconds_count") or 0.0

    before = measured()
    await queue.push([message("v", "a", cast_at=1.0), message("w", "a")])
    await count_batch(connection, queue, QueueHead(queue, 100))

    assert measured() - before == 1

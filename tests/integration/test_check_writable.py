"""Whether Redis would take a vote now: asked without changing anything, and answered as a vote would be."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from common.health import CHECK_TIMEOUT_SECONDS
from common.vote_queue import PROBE, PROBE_TIMEOUT_SECONDS, VOTES, QueueBroken, QueueFull, QueueUnavailable, VoteQueue
from local import servers
from tests.fakes import FakeVoteQueue
from tests.integration.test_vote_queue import AnyQueue, any_queue
from tests.waiting import BUSY_SECONDS, eventually_async

pytestmark = pytest.mark.platform

__all__ = ["any_queue"]


@pytest.fixture
async def admin(queue: VoteQueue, redis: servers.Server) -> AsyncIterator[Redis]:
    """A client of this Redis, which takes votes again at the end."""
    async with Redis.from_url(redis.url) as client:
        yield client
        await client.client_unpause()
        await client.config_set("maxmemory", 0)
        await client.config_set("min-replicas-to-write", 0)
        await client.replicaof("NO", "ONE")


async def test_a_queue_that_takes_votes_says_so_and_is_as_it_was(any_queue: AnyQueue) -> None:
    await any_queue.push([b"1"])

    await any_queue.check_writable()

    assert (await any_queue.peek(10)).messages == [b"1"]


async def test_a_fake_that_refuses_votes_says_so_and_can_still_be_looked_at() -> None:
    queue = FakeVoteQueue()
    queue.refusing = True

    with pytest.raises(QueueUnavailable):
        await queue.check_writable()
    with pytest.raises(QueueUnavailable):
        await queue.push([b"1"])
    assert (await queue.stats()).waiting == 0


async def test_the_probe_leaves_nothing_behind(queue: VoteQueue, admin: Redis) -> None:
    await queue.check_writable()

    assert await admin.keys() == []
    assert not await admin.exists(PROBE)


async def test_a_full_redis_takes_no_vote(queue: VoteQueue, admin: Redis) -> None:
    await admin.config_set("maxmemory", 1)

    with pytest.raises(QueueFull):
        await queue.check_writable()


async def test_a_replica_takes_no_vote(queue: VoteQueue, admin: Redis) -> None:
    await admin.replicaof("127.0.0.1", "1")

    with pytest.raises(QueueUnavailable, match="read only"):
        await queue.check_writable()
    assert (await queue.stats()).waiting == 0


async def test_a_redis_that_misses_its_replicas_takes_no_vote(queue: VoteQueue, admin: Redis) -> None:
    await admin.config_set("min-replicas-to-write", 1)

    with pytest.raises(QueueUnavailable, match="replicas"):
        await queue.check_writable()


async def test_a_queue_that_is_no_list_takes_no_vote(queue: VoteQueue, admin: Redis) -> None:
    await admin.set(VOTES, "x")

    with pytest.raises(QueueBroken, match="WRONGTYPE"):
        await queue.check_writable()


async def test_a_paused_redis_takes_no_vote_which_is_said_in_time_and_not_taken_for_an_outage(
    queue: VoteQueue, admin: Redis
) -> None:
    before = REGISTRY.get_sample_value("reconnects_total", {"server": "redis"}) or 0.0
    await queue.ping()
    await admin.client_pause(60_000, all=False)
    async with asyncio.timeout(PROBE_TIMEOUT_SECONDS + BUSY_SECONDS):
        with pytest.raises(QueueUnavailable, match="takes no votes"):
            await queue.check_writable()
    await queue.ping()
    assert (REGISTRY.get_sample_value("reconnects_total", {"server": "redis"}) or 0.0) == before
    assert PROBE_TIMEOUT_SECONDS < CHECK_TIMEOUT_SECONDS


async def test_however_many_ask_a_paused_redis_holds_up_one_connection(queue: VoteQueue, admin: Redis) -> None:
    """Anybody can ask for readiness, as often as they like."""
    await queue.check_writable()
    await queue.ping()
    connections = len(await admin.client_list())
    await admin.client_pause(60_000, all=False)

    asking = asyncio.gather(*(queue.check_writable() for _ in range(100)), return_exceptions=True)
    await asyncio.sleep(0)
    assert len(await admin.client_list()) == connections

    assert {type(answer) for answer in await asking} == {QueueUnavailable}


async def test_a_probe_that_was_given_up_is_not_answered_later_out_of_turn(queue: VoteQueue, admin: Redis) -> None:
    await admin.client_pause(60_000, all=False)
    with pytest.raises(QueueUnavailable):
        await queue.check_writable()
    await admin.client_unpause()

    async def takes_votes() -> bool:
        await queue.check_writable()
        return True

    assert await eventually_async(takes_votes, within=20, despite=(QueueUnavailable,))
    assert await queue.push([b"1"]) == 1
    await queue.check_writable()
    assert await admin.llen(VOTES) == 1


async def test_who_asks_may_leave_and_the_others_get_their_answer(queue: VoteQueue, admin: Redis) -> None:
    await admin.client_pause(60_000, all=False)
    impatient, patient = (asyncio.create_task(queue.check_writable()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()

    with pytest.raises(QueueUnavailable):
        await patient
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_a_queue_is_closed_while_it_asks(redis: servers.Server, admin: Redis) -> None:
    await admin.client_pause(60_000, all=False)
    async with asyncio.timeout(PROBE_TIMEOUT_SECONDS + BUSY_SECONDS), VoteQueue.open(redis.url) as queue:
        asking = asyncio.create_task(queue.check_writable())
        await asyncio.sleep(0)
    with pytest.raises((asyncio.CancelledError, QueueUnavailable)):
        await asking

"""A push whose answer did not come: it is found out whether Redis has it; there once, or never, and never late."""

import asyncio
import gc
import random
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from common.vote_queue import NotPushed, QueueFull, QueueUnavailable, VoteQueue
from local import servers
from tests.integration.unsure_redis import Mishap, UnsureRedis, unsure_redis

pytestmark = pytest.mark.platform

LONG = 15.0  # how fast a push is found out is not the question here


@pytest.fixture
async def unsure(queue: VoteQueue, redis: servers.Server) -> AsyncIterator[UnsureRedis]:
    """Before the Redis that `queue` reads."""
    async with unsure_redis(redis.url) as proxy:
        yield proxy


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[servers.Server]:
    """One that a test may restart."""
    with servers.redis(tmp_path) as server:
        yield server


@asynccontextmanager
async def reached_by(way: str, redis: servers.Server) -> AsyncIterator[str]:
    """The address of a Redis: its socket, or one in the network that takes connections also while Redis is away."""
    if way == "socket":
        yield redis.url
    else:
        async with unsure_redis(redis.url) as proxy:
            yield proxy.url


@pytest.mark.parametrize("mishap", ["answer lost", "push lost", "loading"])
async def test_a_push_that_was_cut_off_is_in_the_queue_once(
    queue: VoteQueue, unsure: UnsureRedis, mishap: Mishap
) -> None:
    unsure.mishaps.append(mishap)
    async with VoteQueue.open(unsure.url) as pushing:
        assert await pushing.push([b"1", b"2"], within=LONG) == 2
        assert await pushing.push([b"3"], within=LONG) == 3

    assert not unsure.mishaps
    assert (await queue.peek(10)).messages == [b"1", b"2", b"3"]


async def test_whatever_happens_to_pushes_each_vote_is_in_the_queue_once_and_in_its_place(
    queue: VoteQueue, unsure: UnsureRedis
) -> None:
    chance = random.Random(12)
    mishaps: list[Mishap] = ["", "push lost", "answer lost"]
    async with VoteQueue.open(unsure.url) as pushing:
        for number in range(100):
            unsure.mishaps.extend(chance.choices(mishaps, k=2))
            await pushing.push([b"%d" % number], within=LONG)
            unsure.mishaps.clear()

    assert (await queue.peek(1000)).messages == [b"%d" % number for number in range(100)]


async def test_a_push_that_hangs_is_in_doubt_and_can_not_land_after_a_later_one(
    queue: VoteQueue, unsure: UnsureRedis
) -> None:
    """Its connection is ended before the next push goes out."""
    async with VoteQueue.open(unsure.url) as pushing:
        await pushing.push([b"0"], within=LONG)
        unsure.mishaps.append("held")
        with pytest.raises(QueueUnavailable) as in_doubt:
            await pushing.push([b"older"], within=0.3)
        assert not isinstance(in_doubt.value, NotPushed)

        await pushing.push([b"newer"], within=LONG)

        async with asyncio.timeout(LONG):
            await unsure.was_ended.wait()
        unsure.released.set()
        await pushing.push([b"last"], within=LONG)
    assert (await queue.peek(10)).messages == [b"0", b"newer", b"last"]


async def test_a_mark_tells_of_its_own_service_only(queue: VoteQueue, unsure: UnsureRedis) -> None:
    async with VoteQueue.open(unsure.url) as first, VoteQueue.open(unsure.url) as second:
        for number in range(3):
            await first.push([b"first %d" % number], within=LONG)
        unsure.mishaps.append("push lost")
        await second.push([b"second"], within=LONG)

    assert await queue.waiting() == 4


async def test_a_mark_that_somebody_else_has_written_is_not_ours(
    queue: VoteQueue, unsure: UnsureRedis, redis: servers.Server
) -> None:
    async with VoteQueue.open(unsure.url) as pushing, Redis.from_url(redis.url) as client:
        await pushing.push([b"1"], within=LONG)
        (mark,) = await client.keys("{votes}:pushed:*")
        await client.set(mark, "no number")
        unsure.mishaps.append("push lost")

        assert await pushing.push([b"2"], within=LONG) == 2


async def test_a_mark_is_forgotten_after_a_while(queue: VoteQueue, redis: servers.Server) -> None:
    await queue.push([b"1"])

    async with Redis.from_url(redis.url) as client:
        (mark,) = await client.keys("{votes}:pushed:*")
        assert 0 < await client.ttl(mark) <= 3600


async def test_a_push_that_was_not_sent_is_told_so(tmp_path: Path) -> None:
    async with VoteQueue.open(f"unix://{tmp_path}/nobody.sock") as nowhere:
        with pytest.raises(NotPushed, match=r"nobody\.sock"):
            await nowhere.push([b"1"], within=0.1)


async def test_a_push_that_redis_refuses_is_told_so_and_the_next_one_goes(
    queue: VoteQueue, redis: servers.Server
) -> None:
    async with Redis.from_url(redis.url) as client:
        await client.config_set("maxmemory", "1")
        try:
            with pytest.raises(QueueFull):
                await queue.push([b"1"])
        finally:
            await client.config_set("maxmemory", "0")
        await client.set("votes", "no list")
        with pytest.raises(NotPushed):
            await queue.push([b"2"], within=LONG)
        await client.delete("votes")
        assert await queue.push([b"3"]) == 1


@pytest.mark.parametrize("way", ["socket", "network"])
async def test_a_restart_of_redis_between_two_votes_fails_neither(own_redis: servers.Server, way: str) -> None:
    async with reached_by(way, own_redis) as url, VoteQueue.open(url) as pushing:
        for number in range(1, 6):
            assert await pushing.push([b"%d" % number], within=LONG) == number
            await asyncio.to_thread(own_redis.stop)
            await asyncio.to_thread(own_redis.start)
        assert await pushing.push([b"last"], within=LONG) == 6


@pytest.mark.parametrize("way", ["socket", "network"])
async def test_a_push_waits_for_a_redis_that_is_away(own_redis: servers.Server, way: str) -> None:
    async with reached_by(way, own_redis) as url, VoteQueue.open(url) as pushing:
        await pushing.push([b"1"], within=LONG)
        await asyncio.to_thread(own_redis.stop)
        push = asyncio.create_task(pushing.push([b"2"], within=LONG))
        done, _ = await asyncio.wait({push}, timeout=0.3)
        assert not done
        await asyncio.to_thread(own_redis.start)

        assert await push == 2


async def test_an_outage_takes_no_memory(tmp_path: Path) -> None:
    """However many pushes fail: none of them ever got through to Redis, so nothing has to be known of them."""
    tracemalloc.start()
    try:
        async with VoteQueue.open(f"unix://{tmp_path}/nobody.sock") as nowhere:
            sizes = []
            for _ in range(3):
                for _ in range(300):
                    with pytest.raises(QueueUnavailable):
                        await nowhere.push([b"1"], within=0.001)
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()

    assert sizes[2] - sizes[1] < 300 * 40  # bytes

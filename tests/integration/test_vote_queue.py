"""The vote queue: the fake and the real one keep the same promises."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from common.vote_queue import PUSH_TIMEOUT_SECONDS, VOTES, NotPushed, QueueUnavailable, VoteQueue
from local import servers
from tests.fakes import FakeVoteQueue
from tests.waiting import BUSY_SECONDS

pytestmark = pytest.mark.platform

AnyQueue = VoteQueue | FakeVoteQueue


@pytest.fixture(params=["fake", "real"])
async def any_queue(request: pytest.FixtureRequest) -> AsyncIterator[AnyQueue]:
    if request.param == "fake":
        yield FakeVoteQueue()
    else:
        redis = request.getfixturevalue("redis")
        async with Redis.from_url(redis.url) as client:
            await client.flushall()
        async with VoteQueue.open(redis.url) as queue:
            yield queue


@pytest.fixture(params=["fake", "real"])
async def queue_without_redis(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnyQueue]:
    if request.param == "fake":
        fake = FakeVoteQueue()
        fake.failing = True
        yield fake
    else:
        async with VoteQueue.open(f"unix://{tmp_path}/nobody.sock") as queue:
            yield queue


async def test_without_redis_a_push_is_surely_not_in_the_queue(queue_without_redis: AnyQueue) -> None:
    with pytest.raises(NotPushed):
        await queue_without_redis.push([b"1"], within=0.05)


async def test_without_redis_whoever_asks_is_told(queue_without_redis: AnyQueue) -> None:
    for question in (queue_without_redis.waiting, queue_without_redis.stats, queue_without_redis.ping):
        with pytest.raises(QueueUnavailable):
            await question()


class TestAnyQueue:
    async def test_whoever_waits_until_it_is_pushable_may_push(self, any_queue: AnyQueue) -> None:
        await any_queue.until_pushable()

        assert await any_queue.push([b"1"], within=10) == 1
        assert any_queue.problem == ""

    async def test_pushed_votes_wait_in_their_order(self, any_queue: AnyQueue) -> None:
        await any_queue.push([b"1", b"2"])
        await any_queue.push([b"3"])

        assert (await any_queue.peek(10)).messages == [b"1", b"2", b"3"]

    async def test_a_push_tells_how_many_wait(self, any_queue: AnyQueue) -> None:
        assert await any_queue.push([b"1", b"2"]) == 2
        assert await any_queue.waiting() == 2

    async def test_a_peek_takes_nothing(self, any_queue: AnyQueue) -> None:
        await any_queue.push([b"1"])

        await any_queue.peek(10)

        assert await any_queue.waiting() == 1

    async def test_a_peek_is_limited(self, any_queue: AnyQueue) -> None:
        await any_queue.push([b"1", b"2", b"3"])

        assert (await any_queue.peek(2)).messages == [b"1", b"2"]

    async def test_settling_takes_off_what_was_peeked_and_no_more(self, any_queue: AnyQueue) -> None:
        await any_queue.push([b"1", b"2", b"3"])
        peek = await any_queue.peek(2)
        await any_queue.push([b"4"])

        assert await any_queue.settle(peek)
        assert (await any_queue.peek(10)).messages == [b"3", b"4"]

    async def test_settling_twice_takes_off_nothing_the_second_time(self, any_queue: AnyQueue) -> None:
        await any_queue.push([b"1", b"2"])
        peek = await any_queue.peek(1)
        await any_queue.settle(peek)

        assert not await any_queue.settle(peek)
        assert await any_queue.waiting() == 1

    async def test_what_is_behind_the_head_is_peeked_and_gets_there(self, any_queue: AnyQueue) -> None:
        await any_queue.push([b"1", b"2", b"3", b"4"])
        first, behind = await any_queue.peek(1), await any_queue.peek(2, behind=1)

        assert behind.messages == [b"2", b"3"]
        assert not await any_queue.is_at_head(behind)
        await any_queue.settle(first)
        assert await any_queue.is_at_head(behind)
        assert await any_queue.settle(behind)
        assert (await any_queue.peek(10)).messages == [b"4"]

    async def test_what_was_dropped_is_never_at_the_head(self, any_queue: AnyQueue) -> None:
        await any_queue.push([b"1", b"2"])
        first, behind = await any_queue.peek(1), await any_queue.peek(1, behind=1)
        await any_queue.settle(first)
        await any_queue.drop_all()
        await any_queue.push([b"3"])

        assert not await any_queue.is_at_head(behind)
        assert not await any_queue.settle(behind)

    async def test_of_two_workers_that_peeked_the_same_only_one_settles(self, any_queue: AnyQueue) -> None:
        await any_queue.push([b"1", b"2", b"3"])
        slow, quick = await any_queue.peek(1), await any_queue.peek(2)

        assert await any_queue.settle(quick)
        assert not await any_queue.settle(slow)
        assert (await any_queue.peek(10)).messages == [b"3"]

    async def test_dropping_all_makes_a_settle_under_way_fail(self, any_queue: AnyQueue) -> None:
        await any_queue.push([b"1", b"2"])
        peek = await any_queue.peek(10)

        assert await any_queue.drop_all() == 2
        await any_queue.push([b"after the reset"])
        assert not await any_queue.settle(peek)
        assert await any_queue.waiting() == 1

    async def test_waiting_ends_when_a_vote_arrives_and_leaves_it_there(self, any_queue: AnyQueue) -> None:
        waiting = asyncio.create_task(any_queue.wait(30))
        await asyncio.sleep(0)
        await any_queue.push([b"1"])

        async with asyncio.timeout(10):
            assert await waiting
        assert (await any_queue.peek(10)).messages == [b"1"]

    async def test_waiting_ends_without_a_vote(self, any_queue: AnyQueue) -> None:
        assert not await any_queue.wait(1)

    async def test_a_cancelled_wait_loses_nothing_and_the_next_one_works(self, any_queue: AnyQueue) -> None:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await any_queue.wait(30)
        await any_queue.push([b"1"])

        assert await any_queue.wait(5)
        assert await any_queue.waiting() == 1

    async def test_waiting_with_votes_there_ends_at_once_and_keeps_their_order(self, any_queue: AnyQueue) -> None:
        await any_queue.push([b"1", b"2", b"3"])

        assert await any_queue.wait(30)
        assert (await any_queue.peek(10)).messages == [b"1", b"2", b"3"]


IN_TIME = PUSH_TIMEOUT_SECONDS + BUSY_SECONDS


def test_a_voter_is_promised_an_answer_within_two_seconds() -> None:
    assert PUSH_TIMEOUT_SECONDS < 2


def test_the_list_keeps_the_ancestors_name() -> None:
    assert VOTES == "votes"


async def test_rejected_messages_are_kept_with_their_reason(queue: VoteQueue, redis: servers.Server) -> None:
    await queue.reject([(b"nonsense \xff", "not JSON")])

    async with Redis.from_url(redis.url) as client:
        (note,) = await _list(client, "votes:rejected")
    rejected = json.loads(note)
    assert (rejected["message"], rejected["reason"]) == ("nonsense \\xff", "not JSON")


async def test_a_queue_emptied_behind_our_back_refuses_the_settle_under_way(
    queue: VoteQueue, redis: servers.Server
) -> None:
    await queue.push([b"1", b"2"])
    peek = await queue.peek(10)
    async with Redis.from_url(redis.url) as client:
        await client.flushall()
    await queue.push([b"a new vote"])

    assert not await queue.is_at_head(peek)
    assert not await queue.settle(peek)
    assert await queue.waiting() == 1


async def test_an_unreachable_redis_is_told_apart_in_time(tmp_path: Path) -> None:
    async with VoteQueue.open(f"unix://{tmp_path}/nobody.sock") as queue, asyncio.timeout(IN_TIME):
        with pytest.raises(QueueUnavailable):
            await queue.push([b"1"])


async def test_a_redis_that_does_not_answer_is_given_up_in_time(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        async with VoteQueue.open(f"unix://{path}") as queue, asyncio.timeout(IN_TIME):
            with pytest.raises(QueueUnavailable):
                await queue.push([b"1"])


async def test_the_queue_works_again_after_redis_was_killed(tmp_path: Path) -> None:
    with servers.redis(tmp_path) as redis:
        async with VoteQueue.open(redis.url) as queue:
            await queue.push([b"1"])
            redis.kill()
            with pytest.raises(QueueUnavailable):
                await queue.push([b"lost for sure"])
            redis.start()

            assert await queue.push([b"2"]) == 2
            assert (await queue.peek(10)).messages == [b"1", b"2"]


async def test_a_full_redis_accepts_nothing(queue: VoteQueue, redis: servers.Server) -> None:
    async with Redis.from_url(redis.url) as client:
        await client.config_set("maxmemory", "1")
        try:
            with pytest.raises(QueueUnavailable):
                await queue.push([b"1"])
        finally:
            await client.config_set("maxmemory", "0")
        assert await queue.waiting() == 0


async def _list(client: Redis, key: str) -> list[bytes]:
    answer: Any = client.lrange(key, 0, -1)
    return list(await answer)

"""What only the queue in a real Redis can promise."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from common.vote_queue import PUSH_TIMEOUT_SECONDS, VOTES, QueueUnavailable, VoteQueue
from local import servers
from tests.waiting import BUSY_SECONDS

pytestmark = pytest.mark.platform

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

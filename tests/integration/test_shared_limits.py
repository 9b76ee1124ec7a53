"""Several vote services have one limit, as far as Redis can be asked."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from redis.asyncio import Redis

from common.tasks import end
from common.vote_queue import VoteQueue
from common.web import Refused
from local import servers
from vote.admission import RateLimit, keep_sharing_counts, share_counts

pytestmark = pytest.mark.platform


async def test_what_one_service_counted_the_other_knows(redis: servers.Server, queue: VoteQueue) -> None:
    now = 60_000_030.0
    first, second = (RateLimit("address", 10, now=lambda: now) for _ in range(2))
    for _ in range(6):
        first.count("198.51.100.7")
    for _ in range(2):
        second.count("198.51.100.7")
    async with Redis.from_url(redis.url) as client:
        await share_counts(client, first, "first")
        await share_counts(client, second, "second")  # and learns that there were eight
        second.count("198.51.100.7")
        second.count("198.51.100.7")
        with pytest.raises(Refused):
            second.count("198.51.100.7")
        await share_counts(client, second, "second")
        for _ in range(2):
            await share_counts(client, first, "first")
        (key,) = await client.keys("votes:limit:*")
        assert await counts_at(client, key) == {b"first": b"6", b"second": b"5"}
        assert 0 < await client.ttl(key) <= 120


class LosesAnswers(Redis):
    """Does what it is asked, and then loses the connection before it has answered."""

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Any:
        pipeline = super().pipeline(transaction, shard_hint)
        execute = pipeline.execute

        async def lose_answer() -> None:
            await execute()
            raise ConnectionError("told to fail")

        pipeline.execute = lose_answer  # type: ignore[assignment,method-assign]
        return pipeline


async def test_a_lost_answer_counts_nothing_twice(redis: servers.Server, queue: VoteQueue) -> None:
    """Redis stalls now and then, and 6,000 good votes a minute from one hall are all let in."""
    now = 60_000_030.0
    limit = RateLimit("address", 6000, now=lambda: now)
    async with LosesAnswers.from_url(redis.url) as losing, Redis.from_url(redis.url) as client:
        for vote in range(6000):
            limit.count("198.51.100.7")
            if vote % 700 == 699:
                with suppress(ConnectionError):
                    await share_counts(losing, limit, "mine")
                await share_counts(client, limit, "mine")
        (key,) = await client.keys("votes:limit:*")
        assert await counts_at(client, key) == {b"mine": b"5600"}


async def test_a_service_that_was_started_again_counts_beside_what_it_had_counted(
    redis: servers.Server, queue: VoteQueue
) -> None:
    now = 60_000_030.0
    before, after = (RateLimit("address", 10, now=lambda: now) for _ in range(2))
    async with Redis.from_url(redis.url) as client:
        for _ in range(9):
            before.count("198.51.100.7")
        await share_counts(client, before, "before")
        after.count("198.51.100.7")
        await share_counts(client, after, "after")

    with pytest.raises(Refused):
        after.count("198.51.100.7")


async def test_who_votes_now_and_then_is_spoken_of_to_nobody(redis: servers.Server, queue: VoteQueue) -> None:
    limit = RateLimit("address", 1000)
    for _ in range(99):
        limit.count("198.51.100.7")

    async with Redis.from_url(redis.url) as client:
        await share_counts(client, limit, "mine")
        assert await client.keys("votes:limit:*") == []


async def test_while_redis_is_away_each_service_goes_by_its_own_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vote.admission.SHARE_SECONDS", 0.01)
    limit = RateLimit("voter", 1, now=lambda: 60_000_030.0)
    limit.count("x")
    exchanging = asyncio.create_task(keep_sharing_counts("redis://127.0.0.1:1", [limit]))

    done, _ = await asyncio.wait({exchanging}, timeout=0.3)

    assert not done
    assert limit.unshared() == {"x": 1}
    with pytest.raises(Refused):
        limit.count("x")
    await end(exchanging)


async def counts_at(client: Redis, key: bytes | str) -> dict[bytes, bytes]:
    answer: Any = client.hgetall(key)
    return dict(await answer)

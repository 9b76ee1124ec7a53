"""Several vote services have one limit, as far as Redis can be asked."""

import asyncio

import pytest
from redis.asyncio import Redis

from common.tasks import end
from common.vote_queue import VoteQueue
from common.web import Refused
from local import servers
from vote.exchange import exchange, exchange_counts
from vote.limits import Limit


async def test_what_one_service_counted_the_other_knows(redis: servers.Server, queue: VoteQueue) -> None:
    now = 60_000_030.0
    first, second = (Limit("address", 10, now=lambda: now) for _ in range(2))
    for _ in range(6):
        first.count("198.51.100.7")
    for _ in range(2):
        second.count("198.51.100.7")
    async with Redis.from_url(redis.url) as client:
        await exchange(client, first)
        await exchange(client, second)  # and learns that there were eight
        second.count("198.51.100.7")
        second.count("198.51.100.7")
        with pytest.raises(Refused):
            second.count("198.51.100.7")
        await exchange(client, second)
        for _ in range(2):
            await exchange(client, first)
        (key,) = await client.keys("votes:limit:*")
        assert int(await client.get(key) or 0) == 11
        assert 0 < await client.ttl(key) <= 120


async def test_who_votes_now_and_then_is_spoken_of_to_nobody(redis: servers.Server, queue: VoteQueue) -> None:
    limit = Limit("address", 1000)
    for _ in range(99):
        limit.count("198.51.100.7")

    async with Redis.from_url(redis.url) as client:
        await exchange(client, limit)
        assert await client.keys("votes:limit:*") == []


async def test_while_redis_is_away_each_service_goes_by_its_own_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vote.exchange.EXCHANGE_SECONDS", 0.01)
    limit = Limit("voter", 1, now=lambda: 60_000_030.0)
    limit.count("x")
    exchanging = asyncio.create_task(exchange_counts("redis://127.0.0.1:1", [limit]))

    done, _ = await asyncio.wait({exchanging}, timeout=0.3)

    assert not done
    assert limit.news() == {"x": 1}
    with pytest.raises(Refused):
        limit.count("x")
    await end(exchanging)

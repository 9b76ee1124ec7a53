"""A Redis without memory left (`maxmemory`, `noeviction`): votes are refused in clear words, none is lost."""

from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from common.vote_queue import QueueFull, VoteQueue
from local import servers
from tests.fakes import message
from tests.robustness.figures import tried
from tests.services import service
from tests.waiting import eventually, eventually_async


@pytest.fixture
async def admin(queue: VoteQueue, redis: servers.Server) -> AsyncIterator[Redis]:
    """A client of this Redis, which has all its memory again at the end."""
    async with Redis.from_url(redis.url) as client:
        yield client
        await client.config_set("maxmemory", 0)


async def fill(queue: VoteQueue, admin: Redis) -> int:
    """Leave Redis 2 MB, far more than connections take, and fill it; returns how many votes that took."""
    used = (await admin.info("memory"))["used_memory"]
    await admin.config_set("maxmemory-policy", "noeviction")
    await admin.config_set("maxmemory", used + 2_000_000)
    pushed = 0
    while await takes(queue, [message(f"voter {pushed + number}", "a") for number in range(100)]):
        pushed += 100
    # what a single vote takes is less than what its connection may have given back meanwhile
    await admin.config_set("maxmemory", (await admin.info("memory"))["used_memory"] - 30_000)
    tried("votes pushed until Redis was full", pushed)
    return pushed


async def test_a_full_redis_refuses_votes_in_clear_words_and_the_worker_makes_room_again(
    queue: VoteQueue, admin: Redis, redis: servers.Server, empty_database: str
) -> None:
    """Also one that filled up before any worker came, and with a message in it that is no vote."""
    await queue.push([b"nonsense"])
    accepted = await fill(queue, admin)
    with service("vote", redis_url=redis.url) as vote:
        # it runs, and is not ready: it could not take a vote
        not_ready = eventually(lambda: vote.get("/readyz"), within=30, despite=(httpx.TransportError,))
        assert (not_ready.status_code, vote.get("/healthz").status_code) == (503, 200)
        assert "maxmemory" in not_ready.json()["failing"]["redis"]
        refused = await post(f"{vote.url}/api/votes", json={"vote": "b"})
        page = await post(vote.url, data={"vote": "b"})
        assert (refused.status_code, page.status_code) == (503, 503)
        assert refused.json()["error"]["code"] == "queue_full"
        assert "was not recorded" in page.text
        assert refused.headers["Retry-After"]
        assert await queue.waiting() == (await queue.stats()).waiting == accepted + 1

        with service("worker", redis_url=redis.url, database_url=empty_database):
            await eventually_async(lambda: is_empty(queue), within=30)

            # What a peek reads takes memory as well, until it is sent.
            async def accepted_again() -> bool:
                return (await post(f"{vote.url}/api/votes", json={"vote": "b"})).status_code == 202

            await eventually_async(accepted_again, within=30)
            await eventually_async(lambda: is_empty(queue), within=30)
            vote.until_ready()
    assert await votes_of(empty_database) == {"a": accepted, "b": 1}
    assert await admin.llen("votes:rejected") == 1


async def test_a_worker_goes_on_counting_although_something_else_filled_redis(
    queue: VoteQueue, admin: Redis, redis: servers.Server, empty_database: str
) -> None:
    with service("worker", redis_url=redis.url, database_url=empty_database) as worker:
        worker.until_ready()
        await queue.push([message("v", "a")])
        await eventually_async(lambda: is_empty(queue), within=20)
        await admin.config_set("maxmemory", 1)
        with pytest.raises(QueueFull):
            await queue.push([message("w", "a")])
        assert worker.is_ready()
        await admin.config_set("maxmemory", 0)

        await queue.push([message("w", "a")])
        await eventually_async(lambda: is_empty(queue), within=20)
        assert worker.is_ready()


async def post(url: str, **body: object) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.post(url, **body)  # type: ignore[arg-type]


async def takes(queue: VoteQueue, messages: list[bytes]) -> bool:
    try:
        await queue.push(messages)
    except QueueFull:
        return False
    return True


async def is_empty(queue: VoteQueue) -> bool:
    return await queue.waiting() == 0


async def votes_of(database: str) -> dict[str, int]:
    connection = await asyncpg.connect(database)
    rows = await connection.fetch("SELECT vote, count(*) AS votes FROM votes GROUP BY vote")
    await connection.close()
    return {row["vote"]: row["votes"] for row in rows}

"""The roll in a real Redis: many may ask at once, and a restart of Redis turns nobody away."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from common.redis_client import MOST_CONNECTIONS, NotPushed
from common.vote_queue import VoteQueue
from common.voter_roll import TIMEOUT_SECONDS, VoterRoll
from local import servers
from local.codes import give_out
from tests.integration.unsure_redis import unsure_redis
from tests.services import service
from tests.waiting import BUSY_SECONDS

pytestmark = pytest.mark.platform

KEY = "a key for this test"


@pytest.fixture
async def roll(redis: servers.Server, queue: VoteQueue) -> AsyncIterator[VoterRoll]:
    async with VoterRoll.open(redis.url) as roll:
        await roll.clear()
        await roll.add(["on the roll", "on the roll too"])
        yield roll


async def connections(redis: servers.Server) -> int:
    async with Redis.from_url(redis.url) as client:
        answer: Any = client.client_list()
        return len(await answer)


async def test_four_hundred_who_ask_at_once_are_all_answered_on_one_connection(
    roll: VoterRoll, redis: servers.Server
) -> None:
    before = await connections(redis)
    names = ["on the roll", "a stranger", "on the roll too", ""] * 100

    answers = await asyncio.gather(*(roll.has(name) for name in names))

    assert answers == [True, False, True, False] * 100
    assert await connections(redis) <= before + 1


async def test_who_gives_up_takes_nobody_along(roll: VoterRoll) -> None:
    asked = [asyncio.create_task(roll.has("on the roll")) for _ in range(10)]
    await asyncio.sleep(0)
    for each in asked[::2]:
        each.cancel()

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert answers[1::2] == [True] * 5


@pytest.mark.parametrize("way", ["socket", "network"])
async def test_a_redis_that_is_away_is_waited_for(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.voter_roll.TIMEOUT_SECONDS", 15.0)
    with servers.redis(tmp_path) as redis:
        async with (
            unsure_redis(redis.url) as proxy,
            VoterRoll.open(redis.url if way == "socket" else proxy.url) as roll,
        ):
            await roll.add(["on the roll"])
            await asyncio.to_thread(redis.stop)
            asking = asyncio.create_task(roll.has("on the roll"))
            done, _ = await asyncio.wait({asking}, timeout=0.2)
            assert not done
            await asyncio.to_thread(redis.start)

            assert await asking


async def test_while_it_can_not_be_asked_nobody_waits_for_ever(tmp_path: Path) -> None:
    async with (
        VoterRoll.open(f"unix://{tmp_path}/nobody.sock") as roll,
        asyncio.timeout(TIMEOUT_SECONDS + BUSY_SECONDS),
    ):
        answers = await asyncio.gather(*(roll.has("x") for _ in range(20)), return_exceptions=True)

    assert {type(answer) for answer in answers} == {NotPushed}
    assert "nobody.sock" in str(answers[0])


async def test_four_hundred_voters_with_codes_vote_at_once(redis: servers.Server, queue: VoteQueue) -> None:
    codes, _ = await give_out(redis.url, KEY, 400)
    with service("vote", redis_url=redis.url, VOTER_CODES="on", SECRET_KEY=KEY) as vote:
        vote.until_ready()
        limits = httpx.Limits(max_connections=400)
        async with httpx.AsyncClient(timeout=60, limits=limits) as client:
            posts = [client.post(f"{vote.url}/api/votes", json={"vote": "a", "code": code}) for code in codes]
            statuses = [answer.status_code for answer in await asyncio.gather(*posts)]

    assert statuses == [202] * 400
    assert await queue.waiting() == 400


async def test_four_hundred_questions_to_the_queue_at_once_are_answered_on_few_connections(
    redis: servers.Server, queue: VoteQueue
) -> None:
    """`/readyz` asks for each of its visitors."""
    before = await connections(redis)

    await asyncio.gather(*(queue.ping() for _ in range(400)))

    assert await connections(redis) <= before + MOST_CONNECTIONS


async def test_a_connection_that_redis_has_closed_is_not_used(tmp_path: Path) -> None:
    """Also in the network, where redis-py, left to itself, would use it once more."""
    with servers.redis(tmp_path) as redis:
        async with unsure_redis(redis.url) as proxy, VoteQueue.open(proxy.url) as queue:
            for _ in range(5):
                await queue.ping()
                await asyncio.to_thread(redis.stop)
                await asyncio.to_thread(redis.start)
            assert await queue.waiting() == 0

"""Looks at what is there after the last vote: the facts that the audit judges."""

from typing import Any, cast

import asyncpg
import httpx
from redis.asyncio import Redis

from common.vote_queue import COUNTED, REJECTED, VOTES
from local.running import Running
from tests.drill.audit import Found
from tests.waiting import eventually_async

QUEUE_SECONDS = 60.0
DASHBOARD_SECONDS = 10.0


async def look(facts: Running) -> Found:
    """Wait until the queue is empty, and read everything. An empty queue that never comes raises AssertionError."""
    async with Redis.from_url(facts.redis_url) as redis:

        async def is_empty() -> bool:
            return int(await cast(Any, redis.llen(VOTES))) == 0

        await eventually_async(is_empty, within=QUEUE_SECONDS, saying="the queue is empty", despite=(Exception,))
        votes, tallies = await _tables(facts.database_url)
        return Found(
            votes=votes,
            tallies=tallies,
            shown_total=await _shown_total(facts.result_url, len(votes)),
            waiting=int(await cast(Any, redis.llen(VOTES))),
            rejected=int(await cast(Any, redis.llen(REJECTED))),
            settled=int(await redis.get(COUNTED) or 0),
        )


async def _tables(database_url: str) -> tuple[list[tuple[str, str]], dict[str, int]]:
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            votes = await connection.fetch("SELECT voter_id, vote FROM votes")
            tallies = await connection.fetch("SELECT vote, votes FROM tallies")
    finally:
        await connection.close()
    return [(row["voter_id"], row["vote"]) for row in votes], {row["vote"]: row["votes"] for row in tallies}


async def _shown_total(result_url: str, counted: int) -> int:
    """The total of /api/tally; what it shows may be a moment old, so it gets some time to be right."""
    shown = -1
    async with httpx.AsyncClient(timeout=3, verify=False) as client:

        async def is_right() -> bool:
            nonlocal shown
            shown = (await client.get(f"{result_url}/api/tally")).json().get("total", -1)
            return bool(shown == counted)

        try:
            await eventually_async(is_right, within=DASHBOARD_SECONDS, despite=(httpx.HTTPError,))
        except AssertionError:
            return shown
    return shown

"""`python -m loadtest audit`: looks at the system as it is now, without a load; 0 if everything holds.

Votes may be cast meanwhile. What the last load test cast is looked for again, unless the table was emptied since.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import asyncpg
import httpx
from redis.asyncio import Redis

from common.vote_queue import COUNTED, REJECTED, VOTES
from loadtest import standing
from loadtest.errors import LoadTestError
from loadtest.settings import Target, data_folder, limits, number, target
from loadtest.standing import Check, Queue, Table
from proof.audit import audit_rows
from proof.look import NOT_YET, TABLE, database, new_rows, read_shown, until
from proof.register import read_register

WAIT_SECONDS = 30.0  # for the queue to become empty; AUDIT_SECONDS
CONNECT_SECONDS = 3.0
MOST_REASONS = 3

TALLIES = "SELECT vote, votes FROM tallies"
RECOUNT = "SELECT vote, count(*) AS votes FROM votes GROUP BY vote"
VOTERS = "SELECT count(*) AS rows, count(DISTINCT voter_id) AS voters FROM votes"


def audit_now() -> int:
    """Print every check; 0 if none is wrong."""
    where = target()
    print(f"Audit of {where.vote_url} and {where.result_url}", flush=True)
    checks = asyncio.run(_all_checks(where))
    print(standing.verdict(checks))
    return 0 if standing.is_good(checks) else 1


async def _all_checks(where: Target) -> list[Check]:
    checks = []
    async for check in _look(where):
        print(check.in_words(), flush=True)
        checks.append(check)
    return checks


async def _look(where: Target) -> AsyncIterator[Check]:
    looks = {"queue": _queue, "rejected": _rejected, "table": _table, "load test": _ledger}
    needs = {"queue": "redis_url", "rejected": "redis_url", "table": "database_url", "load test": "database_url"}
    for name, look in looks.items():
        if not getattr(where, needs[name]):
            yield Check(name, None, f"not looked at, because {needs[name].upper()} is not set")
            continue
        try:
            for check in await look(where):
                yield check
        except NOT_YET as error:
            yield Check(name, False, f"can't be read: {str(error) or type(error).__name__}")


async def _queue(where: Target) -> list[Check]:
    seconds = number("AUDIT_SECONDS", WAIT_SECONDS)
    began = time.monotonic()
    async with _redis(where) as redis:
        first = last = await _look_at_queue(redis)

        async def is_empty() -> bool:
            nonlocal last
            last = await _look_at_queue(redis)
            return last[0] == 0

        await until(is_empty, seconds)
    return [standing.judge_queue(Queue(first[0], last[0], last[1] - first[1], time.monotonic() - began))]


async def _look_at_queue(redis: Redis) -> tuple[int, int]:
    """How many votes wait, and how many were settled so far."""
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.llen(VOTES)
        pipeline.get(COUNTED)
        waiting, settled = await pipeline.execute()
    return int(waiting), int(settled or 0)


async def _rejected(where: Target) -> list[Check]:
    async with _redis(where) as redis:
        count = int(await cast(Any, redis.llen(REJECTED)))
        notes = await cast(Any, redis.lrange(REJECTED, -MOST_REASONS, -1))
    reasons = [f"{note['reason']} ({note['rejected_at']})" for note in map(json.loads, notes)]
    return [standing.judge_rejected(count, reasons)]


async def _table(where: Target) -> list[Check]:
    """The tables by themselves, and against the dashboard, which may be a moment behind."""
    async with database(where.database_url, seconds=CONNECT_SECONDS) as connection:
        table = await _read_table(connection)
        return [
            standing.judge_tallies(table),
            standing.judge_voters(table),
            await _dashboard(where.result_url, connection, table),
        ]


async def _dashboard(result_url: str, connection: asyncpg.Connection, table: Table) -> Check:
    shown: dict[str, int] = {}
    right = False
    async with httpx.AsyncClient(timeout=5, verify=False) as client:

        async def agrees() -> bool:
            nonlocal table, shown, right
            before, shown, table = table, await read_shown(client, result_url), await _read_table(connection)
            right = standing.agrees(before, shown, table)
            return right

        try:
            await until(agrees, limits()["audit"]["dashboard_seconds"])
        except httpx.HTTPError as error:
            return Check("dashboard", False, f"can't be read: {error or type(error).__name__}")
    return standing.judge_dashboard(shown, table, right=right)


async def _read_table(connection: asyncpg.Connection) -> Table:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        tallies = {row["vote"]: row["votes"] for row in await connection.fetch(TALLIES)}
        recount = {row["vote"]: row["votes"] for row in await connection.fetch(RECOUNT)}
        (voters,) = await connection.fetch(VOTERS)
    return Table(recount, tallies, voters["rows"], voters["voters"])


async def _ledger(where: Target) -> list[Check]:
    async with database(where.database_url, seconds=CONNECT_SECONDS) as connection:
        found = _last_run(await connection.fetchval(TABLE))
        if found is None:
            return [Check("load test", None, "none has been made since the votes were last emptied")]
        folder, last_id = found
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            rows = await new_rows(connection, last_id, Path(scratch) / "rows.csv")
            report = audit_rows(read_register(folder), rows)
    return [standing.judge_ledger(folder.name, report)]


def _last_run(table: str) -> tuple[Path, int] | None:
    """The newest load test that has ended and whose votes are in this table; and the last row before it."""
    for result in sorted((data_folder() / "loadtest").glob("2*/result.json"), reverse=True):
        try:
            before = json.loads((result.parent / "before.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if before.get("table") == table:
            return result.parent, before["last_id"]
    return None


def _redis(where: Target) -> Redis:
    try:
        return Redis.from_url(where.redis_url, socket_timeout=5, socket_connect_timeout=CONNECT_SECONDS)
    except ValueError as error:
        raise LoadTestError(f"REDIS_URL: {error}") from error

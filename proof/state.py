"""Reads the state of a system: queue, table, tallies and dashboard, before and after the votes of a run."""

import csv
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import httpx
from redis.asyncio import Redis
from redis.exceptions import RedisError

from common.vote_queue import COUNTED, REJECTED, VOTES
from proof.audit import Baseline, Found, Row
from proof.waiting import TooLate, eventually_async

CONNECT_SECONDS = 30.0

NOT_YET = (
    OSError,
    TimeoutError,
    RedisError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    httpx.HTTPError,
)

# Changes when the table is emptied (make reset), and differs between databases.
TABLE = "SELECT (pg_control_system()).system_identifier || '/' || pg_relation_filenode('votes')"

NEW_ROWS = """
SELECT voter_id, vote, extract(epoch FROM cast_at)
  FROM votes
 WHERE id > $1
 ORDER BY id
"""

# The database itself records every change of a row, so that an older vote that shows up for a moment is caught too.
KEEP_HISTORY = """
CREATE TABLE proof_history (
    place BIGINT GENERATED ALWAYS AS IDENTITY, voter_id TEXT, vote TEXT, cast_at TIMESTAMPTZ
);
CREATE FUNCTION proof_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO proof_history (voter_id, vote, cast_at) VALUES (NEW.voter_id, NEW.vote, NEW.cast_at);
    RETURN NULL;
END $$;
CREATE TRIGGER proof_history AFTER INSERT OR UPDATE ON votes FOR EACH ROW EXECUTE FUNCTION proof_history();
"""
RECOUNT = "SELECT vote, count(*) AS votes FROM votes GROUP BY vote"
TALLIES = "SELECT vote, votes FROM tallies"
HISTORY = "SELECT voter_id, vote, extract(epoch FROM cast_at) FROM proof_history ORDER BY place"


class Where(Protocol):
    """Where a system is; what has an empty address is not read."""

    @property
    def result_url(self) -> str: ...
    @property
    def redis_url(self) -> str: ...
    @property
    def database_url(self) -> str: ...


@dataclass(frozen=True)
class Patience:
    """How long the votes may take to be counted, and then to be on the dashboard."""

    drain_seconds: float
    dashboard_seconds: float


@dataclass(frozen=True)
class Queue:
    """The queue's figures at one moment."""

    waiting: int
    settled: int
    rejected: int


@dataclass(frozen=True)
class Tables:
    """Votes by option, counted anew and as the table tallies has them."""

    recount: dict[str, int]
    tallies: dict[str, int]


async def read_baseline(where: Where, patience: Patience) -> Baseline:
    """The state before the first vote."""
    queue = await _empty_queue(where, patience)
    shown = await _shown(where.result_url, patience)
    last_id, table = None, None
    if where.database_url:
        async with database(where.database_url) as connection:
            last_id = await connection.fetchval("SELECT coalesce(max(id), 0) FROM votes")
            table = await connection.fetchval(TABLE)
    return Baseline(
        last_id=last_id,
        total=sum(shown.values()),
        settled=queue.settled if queue else None,
        rejected=queue.rejected if queue else None,
        table=table,
    )


async def read_state(where: Where, before: Baseline, folder: Path, patience: Patience) -> Found:
    """The state when the last vote is counted; the rows, which may be millions, pass through a file in `folder`."""
    queue = await _empty_queue(where, patience)
    tables, rows = None, None
    if where.database_url and before.last_id is not None:
        async with database(where.database_url) as connection, at_one_moment(connection):
            tables = await read_tables(connection)
            rows = await new_rows(connection, before.last_id, folder / "rows.csv")
    return Found(
        rows=rows,
        recount=tables.recount if tables else None,
        tallies=tables.tallies if tables else None,
        shown=await _shown(where.result_url, patience, like=tables.recount if tables else None),
        waiting=queue.waiting if queue else None,
        settled=queue.settled if queue else None,
        rejected=queue.rejected if queue else None,
    )


async def keep_history(database_url: str) -> None:
    """Keep every row as it is written from now on."""
    async with database(database_url) as connection:
        await connection.execute(KEEP_HISTORY)


async def read_history(database_url: str, path: Path) -> Iterator[Row]:
    """Every row as it was written, in that order."""
    async with database(database_url) as connection:
        await connection.copy_from_query(HISTORY, output=path, format="csv")
    return _rows(path)


async def new_rows(connection: asyncpg.Connection, last_id: int, path: Path) -> Iterator[Row]:
    """The rows after this one."""
    await connection.copy_from_query(NEW_ROWS, last_id, output=path, format="csv")
    return _rows(path)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Return when the condition holds or the time is over; raises an error that persists."""
    try:
        await eventually_async(condition, within=seconds, despite=NOT_YET)
    except TooLate as late:
        if isinstance(late.found, Exception):
            raise late.found from None


@asynccontextmanager
async def database(url: str, *, seconds: float = CONNECT_SECONDS) -> AsyncIterator[asyncpg.Connection]:
    """A connection, as soon as one can be opened."""
    connection: Any = None

    async def connected() -> bool:
        nonlocal connection
        connection = await asyncpg.connect(url, timeout=5)
        return True

    await until(connected, seconds)
    try:
        yield connection
    finally:
        await connection.close()


async def read_shown(client: httpx.AsyncClient, result_url: str) -> dict[str, int]:
    """The tally of the dashboard, by option."""
    answer = (await client.get(f"{result_url}/api/tally")).raise_for_status()
    return {option["key"]: option["votes"] for option in answer.json()["options"]}


def at_one_moment(connection: asyncpg.Connection) -> AbstractAsyncContextManager[Any]:
    """A transaction whose queries all see the same moment."""
    transaction: AbstractAsyncContextManager[Any] = connection.transaction(isolation="repeatable_read", readonly=True)
    return transaction


async def read_tables(connection: asyncpg.Connection) -> Tables:
    """The votes by option, twice."""
    recount, tallies = [await connection.fetch(query) for query in (RECOUNT, TALLIES)]
    return Tables(
        {row["vote"]: row["votes"] for row in recount},
        {row["vote"]: row["votes"] for row in tallies},
    )


async def read_queue(redis: Redis) -> Queue:
    """How many votes are waiting, have been settled and have been rejected."""
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.llen(VOTES)
        pipeline.get(COUNTED)
        pipeline.llen(REJECTED)
        waiting, settled, rejected = await pipeline.execute()
    return Queue(int(waiting), int(settled or 0), int(rejected))


async def _empty_queue(where: Where, patience: Patience) -> Queue | None:
    """The queue when all votes are counted, or the time is over."""
    if not where.redis_url:
        return None
    async with Redis.from_url(where.redis_url, socket_timeout=5, socket_connect_timeout=5) as redis:

        async def is_empty() -> bool:
            return (await read_queue(redis)).waiting == 0

        await until(is_empty, patience.drain_seconds)
        return await read_queue(redis)


def _rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        for voter, option, cast_at in csv.reader(file):
            yield Row(voter, option, float(cast_at) if cast_at else None)


async def _shown(result_url: str, patience: Patience, *, like: dict[str, int] | None = None) -> dict[str, int]:
    """The tally of the dashboard, by option; what it shows may be a moment old, so it gets some time to be right."""
    shown: dict[str, int] = {}
    async with httpx.AsyncClient(timeout=5, verify=False) as client:

        async def is_right() -> bool:
            now = await read_shown(client, result_url)
            shown.clear()
            shown.update(now)
            return like is None or {key: votes for key, votes in shown.items() if votes} == like

        await until(is_right, patience.dashboard_seconds)
    return shown

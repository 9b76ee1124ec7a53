"""How an audit reaches what it looks at: the database, the dashboard, and patience with both."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import httpx
from redis.exceptions import RedisError

POLL_SECONDS = 0.1
CONNECT_SECONDS = 30.0

NOT_YET = (OSError, TimeoutError, RedisError, asyncpg.PostgresError, asyncpg.InterfaceError, httpx.HTTPError)

# Another one when the table was emptied since (make reset), or is of another database.
TABLE = "SELECT (pg_control_system()).system_identifier || '/' || pg_relation_filenode('votes')"


async def until(condition: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Return when it is so, or the time is over; an error that lasts is raised."""
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() > deadline
        try:
            if await condition() or late:
                return
        except NOT_YET:
            if late:
                raise
        await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def database(url: str, *, seconds: float = CONNECT_SECONDS) -> AsyncIterator[asyncpg.Connection]:
    """A connection, as soon as one can be had."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection = await asyncpg.connect(url, timeout=5)
            break
        except NOT_YET:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(POLL_SECONDS)
    try:
        yield connection
    finally:
        await connection.close()


async def read_shown(client: httpx.AsyncClient, result_url: str) -> dict[str, int]:
    """The tally of the dashboard, by option."""
    answer = (await client.get(f"{result_url}/api/tally")).raise_for_status()
    return {option["key"]: option["votes"] for option in answer.json()["options"]}

"""Where the pipeline page looks: the queue in Redis, and the workers' connections in the database.

Both are asked with ordinary rights: PostgreSQL shows locks and the names of connections to every role.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import asyncpg
from asyncpg import Connection
from redis.exceptions import AuthenticationError, ResponseError

from common.counting import COUNTING_LOCK, WORKER
from common.overview import Overview
from common.vote_queue import QueueUnavailable
from result.watch import LOST

ANSWER_SECONDS = 1.5  # a server that takes longer counts as gone, so that the page goes on telling

# a worker asks for the lock again and again without waiting for it, so only its name shows one that stands by
READ = """
SELECT substr(activity.application_name, length($1) + 2) AS name, lock.pid IS NOT NULL AS counts
  FROM pg_stat_activity AS activity
  LEFT JOIN pg_locks AS lock
         ON lock.pid = activity.pid AND lock.database = activity.datid AND lock.locktype = 'advisory' AND lock.granted
        AND lock.classid::bigint << 32 | lock.objid::bigint = $2
 WHERE activity.datid = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND starts_with(activity.application_name, $1)
 ORDER BY name
"""

# The database is there, and doesn't let us in; whether it lets the worker in can't be told from that.
_NOT_LET_IN = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.TooManyConnectionsError,
)

ReadQueue = Callable[[], Awaitable[Overview]]
State = Literal["answers", "unreachable", "refuses", "not_configured"]


class NotSeen(Exception):
    """A source tells nothing; `state` says why in one word, the text in more."""

    def __init__(self, state: State, problem: str) -> None:
        super().__init__(problem)
        self.state: State = state


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers that the database knows; one counts, or none does."""

    counting: str | None
    standing_by: tuple[str, ...]


class WorkersInDatabase:
    """Reads who counts, on a connection that the server itself ends when nobody has looked for a while."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connection: Connection | None = None

    async def read(self) -> Workers:
        """Who counts and who stands by; raises NotSeen."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                rows = await (await self._connected()).fetch(READ, WORKER, COUNTING_LOCK)
        except _NOT_LET_IN as error:
            raise NotSeen("refuses", str(error)) from error
        except LOST as error:
            self.close()
            raise NotSeen("unreachable", str(error) or type(error).__name__) from error
        names = {row["name"]: row["counts"] for row in rows}
        counting = next((name for name, counts in names.items() if counts), None)
        return Workers(counting, tuple(name for name, counts in names.items() if not counts))

    def close(self) -> None:
        """Let go of the connection, at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._url,
                timeout=ANSWER_SECONDS,
                command_timeout=ANSWER_SECONDS,
                server_settings={"application_name": "tallyho-pipeline", "idle_session_timeout": "10s"},
            )
        return self._connection


@asynccontextmanager
async def workers_in(database_url: str) -> AsyncIterator[WorkersInDatabase]:
    """Who counts, according to this database; connects when first asked, lets go at the end."""
    workers = WorkersInDatabase(database_url)
    try:
        yield workers
    finally:
        workers.close()


def queue_reader(overview: ReadQueue, *, address_is_set: bool) -> ReadQueue:
    """Reads the queue at a glance; what it returns raises NotSeen."""

    async def read() -> Overview:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await overview()
        except QueueUnavailable as error:
            raise NotSeen(_redis_state(error, address_is_set), str(error)) from error
        except TimeoutError as error:
            raise NotSeen("unreachable", f"Redis: no answer within {ANSWER_SECONDS} s") from error

    return read


def _redis_state(error: QueueUnavailable, address_is_set: bool) -> State:
    if not address_is_set:
        return "not_configured"  # nobody said that there is a Redis where we looked
    return "refuses" if isinstance(error.__cause__, ResponseError | AuthenticationError) else "unreachable"

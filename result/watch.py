"""Keeping the tally fresh. A notification is only a hint that it is time to read; the table is the truth."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import asyncpg
import structlog
from asyncpg import Connection

from common import traces
from common.ballot import CHANNEL
from common.reachable import Reachable
from result.tally import Hint, Tally, UnreadableTally, read_tally

READ_AT_MOST_EVERY_SECONDS = 0.1  # with nobody or with many to show it to
READ_FOR_FEW_EVERY_SECONDS = 0.02  # a vote waits for the next reading: half of this is what a viewer feels of it
SNAPSHOTS_PER_SECOND = 5000  # to all viewers together, until there are so many that each gets ten a second
READ_AT_LEAST_EVERY_SECONDS = 1.5  # a notification may be lost with its connection, and nobody would know
BACK_OFF_SECONDS = (0.1, 1.0)  # first and longest pause before the next try

# Should we be gone, the server does not go on without us.
CONNECTION_SETTINGS = {
    "application_name": "tallyho-result",
    "statement_timeout": "5s",
    "lock_timeout": "4s",
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}

log = structlog.get_logger()


class _Hints:
    """What PostgreSQL told us since the last reading."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self._first_at: float | None = None
        self._traceparents: list[str] = []

    def notified(self, connection: object, process: int, channel: str, traceparents: object) -> None:
        if self._first_at is None:
            self._first_at = time.perf_counter()
        if traceparents and traces.is_on():
            self._traceparents += str(traceparents).split(",")
        self.event.set()

    def take(self) -> Hint:
        """What was said; from now on the next hints are gathered."""
        taken = Hint(self._first_at, tuple(self._traceparents))
        self._first_at, self._traceparents = None, []
        self.event.clear()
        return taken


class TablesMissing(Exception):
    """The database is there, its tables are not."""


# A connection that was cut in the middle of an answer is an InternalClientError, which is none of the other two.
LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)

Unavailable = (TablesMissing, UnreadableTally, *LOST)


def pause_seconds(viewers: int) -> float:
    """From one reading to the next: few viewers are shown a change sooner, because that costs little."""
    if viewers == 0:
        return READ_AT_MOST_EVERY_SECONDS
    return min(READ_AT_MOST_EVERY_SECONDS, max(READ_FOR_FEW_EVERY_SECONDS, viewers / SNAPSHOTS_PER_SECOND))


async def watch_tally(
    database_url: str,
    show: Callable[[Tally], None],
    count_viewers: Callable[[], int] = lambda: 0,
    tried: asyncio.Event | None = None,
) -> None:
    """Read the tally after each change and show it, for ever, through lost connections.

    `tried` is set when it has been read, or could not be.
    """
    tried = tried or asyncio.Event()
    pause, longest = BACK_OFF_SECONDS
    connected = None
    server = Reachable("postgresql")
    while True:
        try:
            async with _listen(database_url) as (connection, hints):
                # the first read also shows what happened while nobody listened
                async for tally in _readings(connection, hints, count_viewers):
                    server.answers()
                    if not connected:
                        log.info("watching_the_tally")
                    connected, pause = True, BACK_OFF_SECONDS[0]
                    show(tally)
                    tried.set()
        except Unavailable as error:
            server.is_lost()
            tried.set()
            if connected is not False:
                log.warning("waiting_for_postgresql", problem=str(error) or type(error).__name__)
            connected = False
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)


async def _readings(connection: Connection, hints: _Hints, count_viewers: Callable[[], int]) -> AsyncIterator[Tally]:
    while True:
        began = time.perf_counter()
        yield await read_tally(connection, hints.take())
        await asyncio.sleep(began + pause_seconds(count_viewers()) - time.perf_counter())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READ_AT_LEAST_EVERY_SECONDS):
                await hints.event.wait()


@contextlib.asynccontextmanager
async def _listen(database_url: str) -> AsyncIterator[tuple[Connection, _Hints]]:
    """A connection of its own: a pool would give the listener away (asyncpg #189)."""
    connection = await asyncpg.connect(database_url, timeout=5, command_timeout=5, server_settings=CONNECTION_SETTINGS)
    hints = _Hints()
    try:
        if await connection.fetchval("SELECT to_regclass('tallies')") is None:
            raise TablesMissing("the worker has not made the tables yet")
        connection.add_termination_listener(lambda _: hints.event.set())
        await connection.add_listener(CHANNEL, hints.notified)
        yield connection, hints
    finally:
        try:
            await connection.close(timeout=1)
        except Unavailable:
            connection.terminate()

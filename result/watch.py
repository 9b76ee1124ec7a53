"""Keeping the tally fresh. A notification is only a hint that it is time to read; the table is the truth."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import asyncpg
import structlog
from asyncpg import Connection

from common.ballot import CHANNEL
from result.tally import Tally, read_tally

READ_AT_MOST_EVERY_SECONDS = 0.1
READ_AT_LEAST_EVERY_SECONDS = 1.5  # a notification may be lost with its connection, and nobody would know
BACK_OFF_SECONDS = (0.1, 1.0)  # first and longest pause before the next try

log = structlog.get_logger()


class TablesMissing(Exception):
    """The database is there, its tables are not."""


Unavailable = (TablesMissing, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


async def watch_tally(database_url: str, show: Callable[[Tally], None]) -> None:
    """Read the tally after each change and show it, for ever, through lost connections."""
    pause, longest = BACK_OFF_SECONDS
    connected = None
    while True:
        try:
            async with _listen(database_url) as (connection, changed):
                # the first read also shows what happened while nobody listened
                async for tally in _readings(connection, changed):
                    if not connected:
                        log.info("watching_the_tally")
                    connected, pause = True, BACK_OFF_SECONDS[0]
                    show(tally)
        except Unavailable as error:
            if connected is not False:
                log.warning("waiting_for_postgresql", problem=str(error) or type(error).__name__)
            connected = False
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)


async def _readings(connection: Connection, changed: asyncio.Event) -> AsyncIterator[Tally]:
    while True:
        changed.clear()
        yield await read_tally(connection)
        await asyncio.sleep(READ_AT_MOST_EVERY_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READ_AT_LEAST_EVERY_SECONDS):
                await changed.wait()


@contextlib.asynccontextmanager
async def _listen(database_url: str) -> AsyncIterator[tuple[Connection, asyncio.Event]]:
    """A connection of its own: a pool would give the listener away (asyncpg #189)."""
    connection = await asyncpg.connect(
        database_url, timeout=5, command_timeout=5, server_settings={"application_name": "tallyho-result"}
    )
    changed = asyncio.Event()
    try:
        if await connection.fetchval("SELECT to_regclass('tallies')") is None:
            raise TablesMissing("the worker has not made the tables yet")
        connection.add_termination_listener(lambda _: changed.set())
        await connection.add_listener(CHANNEL, lambda *_: changed.set())
        yield connection, changed
    finally:
        try:
            await connection.close(timeout=1)
        except Unavailable:
            connection.terminate()

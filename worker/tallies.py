"""Compares the table `tallies` with `votes`, and recounts where they disagree.

Triggers keep them equal. But somebody may write to `tallies`, or to `votes` without the triggers, and a CHECK lets a
tally that is too low stop every change of votes. So the worker compares them before it counts, and periodically while
it counts.
"""

import asyncio
import time

import asyncpg
import structlog
from asyncpg import Connection
from prometheus_client import Counter, Gauge

TALLIES_HEALED = Counter("tallies_healed", "Times the tallies disagreed with the votes, and were recounted.")
TALLIES_COMPARED = Gauge(
    "tallies_compared_timestamp_seconds",
    "Unix time at which this worker last compared the tallies with the votes; 0 before the first time.",
)

COMPARE_EVERY_SECONDS = 30.0
# A comparison reads all votes, which takes some 0.1 s per million: the more there are, the longer the pause, so that
# comparing takes at most one hundredth of the time.
PAUSE_PER_COMPARISON = 100

# Not the connection that counts: it may take its time, but must not make others wait.
CONNECTION_SETTINGS = {
    "application_name": "tallyho-tallies",
    "default_transaction_isolation": "read committed",
    "lock_timeout": "5s",
    "statement_timeout": "10min",
    "idle_session_timeout": "10s",
}
COMPARE_WITHIN_SECONDS = 600.0

log = structlog.get_logger()


async def heal_tallies(connection: Connection) -> None:
    """Compare, and recount what is wrong. Only a recount makes writers of votes wait."""
    async with connection.transaction():
        # longer than for other statements: without the comparison counting can't begin
        await connection.execute(f"SET LOCAL statement_timeout = '{COMPARE_WITHIN_SECONDS:.0f}s'")
        wrong = await connection.fetch("SELECT * FROM heal_tallies()", timeout=COMPARE_WITHIN_SECONDS)
    TALLIES_COMPARED.set(time.time())
    if wrong:
        TALLIES_HEALED.inc()
        differences = {row["option"]: f"{row['tally'] or 0} instead of {row['recount'] or 0}" for row in wrong}
        log.warning("tallies_healed", differences=differences)


async def heal_periodically(database_url: str) -> None:
    """The same again and again, on separate connections, so that recording goes on meanwhile."""
    pause = COMPARE_EVERY_SECONDS
    while True:
        await asyncio.sleep(pause)
        began = time.monotonic()
        try:
            await _heal(database_url)
        except Exception as error:  # the counting worker will notice it too, and report it
            log.debug("tallies_not_compared", error=type(error).__name__)
        pause = max(COMPARE_EVERY_SECONDS, PAUSE_PER_COMPARISON * (time.monotonic() - began))


async def _heal(database_url: str) -> None:
    connection = await asyncpg.connect(database_url, timeout=5, server_settings=CONNECTION_SETTINGS)
    try:
        await heal_tallies(connection)
    finally:
        connection.terminate()

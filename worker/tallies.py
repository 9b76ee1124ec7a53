"""The table `tallies` is compared with `votes`, and counted anew where they disagree.

The triggers keep them equal, and a CHECK makes a tally that is too low stop whoever changes votes. So a worker compares
them before it counts, and now and then while it counts: by then somebody may have written to `tallies`, or to `votes`
without the triggers.
"""

import asyncio
import time

import asyncpg
import structlog
from asyncpg import Connection
from prometheus_client import Counter, Gauge

TALLIES_HEALED = Counter("tallies_healed", "Times that the tallies disagreed with the votes, and were counted anew.")
TALLIES_COMPARED = Gauge(
    "tallies_compared_timestamp_seconds",
    "When this worker last compared the tallies with the votes, in Unix seconds; 0 before the first time.",
)

COMPARE_EVERY_SECONDS = 30.0
# A comparison reads all votes, in some 0.1 s a million: the more there are, the longer the pause, so that it takes one
# hundredth of the time at most.
PAUSE_PER_COMPARISON = 100

# It is no worker's connection, and may take its time, but not make others wait.
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
    """Compare, and count anew what is wrong. Nobody waits for a comparison; for a recount, those who write votes do."""
    async with connection.transaction():
        # more than other statements may take: whoever can't compare can't go on
        await connection.execute(f"SET LOCAL statement_timeout = '{COMPARE_WITHIN_SECONDS:.0f}s'")
        wrong = await connection.fetch("SELECT * FROM heal_tallies()", timeout=COMPARE_WITHIN_SECONDS)
    TALLIES_COMPARED.set(time.time())
    if wrong:
        TALLIES_HEALED.inc()
        differences = {row["option"]: f"{row['tally'] or 0} instead of {row['recount'] or 0}" for row in wrong}
        log.warning("tallies_healed", differences=differences)


async def heal_now_and_then(database_url: str) -> None:
    """The same again and again, on connections of its own, so that recording goes on meanwhile."""
    pause = COMPARE_EVERY_SECONDS
    while True:
        await asyncio.sleep(pause)
        began = time.monotonic()
        try:
            await _heal(database_url)
        except Exception as error:  # the worker that counts will notice, too, and say so
            log.debug("tallies_not_compared", error=type(error).__name__)
        pause = max(COMPARE_EVERY_SECONDS, PAUSE_PER_COMPARISON * (time.monotonic() - began))


async def _heal(database_url: str) -> None:
    connection = await asyncpg.connect(database_url, timeout=5, server_settings=CONNECTION_SETTINGS)
    try:
        await heal_tallies(connection)
    finally:
        connection.terminate()

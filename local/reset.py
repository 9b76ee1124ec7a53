"""`make reset`: empties votes, tallies and the queue, also while votes arrive."""

import asyncio
from dataclasses import dataclass

import asyncpg

from common.vote_queue import POLL_LOOK_SECONDS, QueueUnavailable, VoteQueue
from local.errors import LocalError


@dataclass(frozen=True)
class ResetReport:
    """What was there before."""

    counted: int
    waiting: int

    def __str__(self) -> str:
        return f"emptied: {self.counted:,} votes counted, {self.waiting:,} waiting"


async def reset(redis_url: str, database_url: str) -> ResetReport:
    """Empty everything. A vote cast meanwhile is either dropped or counted, never half of each."""
    try:
        connection = await asyncpg.connect(database_url, timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InternalClientError) as error:
        raise LocalError(f"PostgreSQL can't be reached: {error}") from error
    try:
        async with VoteQueue.open(redis_url) as queue, connection.transaction():
            # Keeps the worker, which takes its lock on the table before it looks at the queue, from recording votes
            # that are dropped here.
            await connection.execute("LOCK TABLE votes IN ACCESS EXCLUSIVE MODE")
            counted = await connection.fetchval("SELECT count(*) FROM votes")
            await connection.execute("TRUNCATE votes RESTART IDENTITY")
            # Before the commit: after it the worker would be free to count what is to be dropped.
            waiting = await queue.drop_all()
    except asyncpg.UndefinedTableError as error:
        raise LocalError("the database has no tables yet: wait for the worker to make them") from error
    except (asyncpg.PostgresError, asyncpg.InternalClientError, QueueUnavailable) as error:
        raise LocalError(f"not all was emptied, run make reset again: {error}") from error
    finally:
        await connection.close()
    # Until then a ballot may still say that a vote from before is recorded.
    await asyncio.sleep(2 * POLL_LOOK_SECONDS)
    return ResetReport(counted, waiting)

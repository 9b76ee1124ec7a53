"""Who counts: one worker holds a lock in the database and counts, the others stand by.

The lock belongs to the very connection that records, so a worker whose connection is gone can't write; as soon as it
is gone, the lock is free and another worker takes over.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

import asyncpg
import structlog
from asyncpg import Connection
from prometheus_client import Gauge

from common.metrics import Reachability
from common.presence import COUNTING_LOCK, worker_name
from common.tasks import end
from common.vote_queue import QueueUnavailable, VoteQueue
from worker.batch import QueueHead, columns_of
from worker.count import VOTES_RECORDED, count_batch
from worker.errors import describe, is_transient, location
from worker.record import record
from worker.schema import SCHEMA as SCHEMA
from worker.schema import apply_schema
from worker.tallies import heal_periodically, heal_tallies

COUNTING = Gauge("counting", "1 if this worker is the one that counts.")
STANDING_BY = Gauge("standing_by", "1 if this worker is ready to count as soon as the one that counts is gone.")

STAND_BY_SECONDS = 0.5  # how often a worker that stands by asks for the lock
IDLE_SECONDS = 1  # how often a worker with nothing to count looks whether its connection still lives
REPORT_SECONDS = 1.0
MOMENT_SECONDS = 0.01
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0  # before the next try, while a server is away
LONGEST_PAUSE_WHEN_FAILING_SECONDS = 10.0  # and while somebody has to mend something

CONNECTION_SETTINGS = {
    "application_name": worker_name(),
    # a vote that leaves the queue must survive a crash of the database
    "synchronous_commit": "on",
    # each statement sees what was committed before it: a recount behind a lock, for one
    "default_transaction_isolation": "read committed",
    # a worker that hangs, in the middle of a batch or between two, loses its connection and so the lock
    "idle_in_transaction_session_timeout": "10s",
    "idle_session_timeout": "10s",
    # who holds the lock must not wait for ever, nor leave a statement behind when it is gone
    "lock_timeout": "20s",
    "statement_timeout": "25s",
    # so does one whose machine is gone
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}

log = structlog.get_logger()


class Status:
    """What this worker is doing, for its readiness, its metrics and its log."""

    def __init__(self) -> None:
        self.state = "starting"
        self._problem = "not connected yet"

    async def check(self) -> None:
        """Raise when the worker neither counts nor stands by."""
        if self.state not in ("counting", "standing_by"):
            raise ConnectionError(self._problem)

    def stands_by(self) -> None:
        self._become("standing_by")

    def counts(self) -> None:
        self._become("counting")

    def waits(self, error: Exception) -> None:
        """A server is away."""
        self._problem = describe(error)
        self._become("waiting_for_servers", logging.WARNING, problem=self._problem)

    def fails(self, error: Exception) -> None:
        """Somebody has to mend something: the code, the tables, what is in Redis."""
        before, self._problem = self._problem, f"{type(error).__name__}: {describe(error)}"
        is_another = before != self._problem
        self._become("failing", logging.ERROR, is_news=is_another, problem=self._problem, where=location(error))
        log.debug("failed", exc_info=error)

    def _become(self, state: str, level: int = logging.INFO, *, is_news: bool = False, **facts: str) -> None:
        if state != self.state or is_news:  # one line per change, not per attempt
            log.log(level, state, **facts)
        self.state = state
        COUNTING.set(state == "counting")
        STANDING_BY.set(state == "standing_by")


class _BackOff:
    """Ever longer pauses, until something has gone well: a connection alone is nothing yet."""

    def __init__(self) -> None:
        self._seconds = FIRST_PAUSE_SECONDS

    def reset(self) -> None:
        self._seconds = FIRST_PAUSE_SECONDS

    async def pause(self, longest: float) -> None:
        self._seconds = min(self._seconds, longest)
        await asyncio.sleep(self._seconds)
        self._seconds *= 2


async def count_votes(database_url: str, queue: VoteQueue, batch_size: int, status: Status) -> None:
    """Count for ever: through lost connections, through faults, and with other workers beside this one."""
    back_off = _BackOff()
    server = Reachability("postgresql")
    while True:
        try:
            async with _connect(database_url) as connection:
                server.answers()
                await queue.ping()
                await _wait_for_lock(connection, status)
                await _take_over(connection, queue)
                checking = asyncio.create_task(heal_periodically(database_url))
                try:
                    await _count_while_connected(connection, QueueHead(queue, batch_size), queue, status, back_off)
                finally:
                    await end(checking)
        except Exception as error:  # whatever it is, it ends no process: a restart would not mend it
            if is_transient(error):
                if not isinstance(error, QueueUnavailable):
                    server.is_lost()
                status.waits(error)
                await back_off.pause(LONGEST_PAUSE_SECONDS)
            else:
                status.fails(error)
                await back_off.pause(LONGEST_PAUSE_WHEN_FAILING_SECONDS)


async def _take_over(connection: Connection, queue: VoteQueue) -> None:
    """Make sure that all is as counting needs it, before there is a vote."""
    await queue.wait(MOMENT_SECONDS)  # a Redis that takes nothing, because it is read-only, answers a ping as well
    await apply_schema(connection)
    await heal_tallies(connection)
    await record(connection, columns_of([]))


async def _count_while_connected(
    connection: Connection, head: QueueHead, queue: VoteQueue, status: Status, back_off: _BackOff
) -> None:
    progress = _Progress()
    settled = await count_batch(connection, queue, head, progress.add)
    status.counts()
    back_off.reset()
    while True:
        progress.report()
        if settled == head.limit or await queue.wait(IDLE_SECONDS):
            settled = await count_batch(connection, queue, head, progress.add)
        else:
            settled = 0
            await connection.execute("SELECT 1", timeout=5)


class _Progress:
    """One log line a second at most, however many batches there are; of votes only, for a message may be none."""

    def __init__(self) -> None:
        self._batches = 0
        self._reported = _recorded_so_far()
        self._reported_at = -REPORT_SECONDS

    def add(self, messages: int) -> None:
        self._batches += messages > 0

    def report(self) -> None:
        now = time.monotonic()
        if self._batches and now - self._reported_at >= REPORT_SECONDS:
            recorded = _recorded_so_far()
            if votes := recorded - self._reported:
                log.info("votes_recorded", votes=votes, batches=self._batches)
                self._reported_at = now
            self._batches, self._reported = 0, recorded


def _recorded_so_far() -> int:
    return int(next(iter(VOTES_RECORDED.collect())).samples[0].value)


async def _wait_for_lock(connection: Connection, status: Status) -> None:
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", COUNTING_LOCK):
        status.stands_by()
        await asyncio.sleep(STAND_BY_SECONDS)


@contextlib.asynccontextmanager
async def _connect(database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database_url, timeout=5, command_timeout=30, server_settings=CONNECTION_SETTINGS)
    try:
        yield connection
    except asyncpg.InterfaceError as error:
        if connection.is_closed():
            raise ConnectionError(describe(error)) from error
        raise  # asyncpg was used in a way that it does not understand
    finally:
        try:
            await connection.close(timeout=1)
        except Exception:  # it is of no use any more, whatever it says
            connection.terminate()

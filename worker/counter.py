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

from common.counting import COUNTING_LOCK, worker_name
from common.reachable import Reachable
from common.vote_queue import QueueUnavailable, VoteQueue
from worker.count import VOTES_RECORDED, count_batch
from worker.head import Head
from worker.schema import SCHEMA as SCHEMA
from worker.schema import NoTables, apply_schema

COUNTING = Gauge("counting", "1 if this worker is the one that counts.")
STANDING_BY = Gauge("standing_by", "1 if this worker is ready to count as soon as the one that counts is gone.")

STAND_BY_SECONDS = 0.5  # how often a worker that stands by asks for the lock
IDLE_SECONDS = 1  # how often a worker with nothing to count looks whether its connection still lives
REPORT_SECONDS = 1.0
BACK_OFF_SECONDS = (0.1, 1.0)  # first and longest pause before the next try

CONNECTION_SETTINGS = {
    "application_name": worker_name(),
    # a vote that leaves the queue must survive a crash of the database
    "synchronous_commit": "on",
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

Unavailable = (NoTables, QueueUnavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


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

    def fails(self, problem: str) -> None:
        self._problem = problem
        self._become("waiting_for_servers", level=logging.WARNING, problem=problem)

    def _become(self, state: str, level: int = logging.INFO, **facts: str) -> None:
        if state != self.state:  # one line per change, not per attempt
            log.log(level, state, **facts)
        self.state = state
        COUNTING.set(state == "counting")
        STANDING_BY.set(state == "standing_by")


async def count_votes(database_url: str, queue: VoteQueue, batch_size: int, status: Status) -> None:
    """Count for ever: through lost connections, and with other workers beside this one."""
    pause, longest = BACK_OFF_SECONDS
    server = Reachable("postgresql")
    while True:
        try:
            async with _connect(database_url) as connection:
                server.answers()
                await queue.ping()
                await _wait_for_lock(connection, status)
                await apply_schema(connection)
                status.counts()
                pause = BACK_OFF_SECONDS[0]
                await _count_while_connected(connection, queue, batch_size)
        except Unavailable as error:
            if not isinstance(error, QueueUnavailable):
                server.is_lost()
            status.fails(str(error) or type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)


async def _count_while_connected(connection: Connection, queue: VoteQueue, batch_size: int) -> None:
    head = Head(queue, batch_size)
    settled = 0
    progress = _Progress()
    while True:
        if settled == batch_size or await queue.wait(IDLE_SECONDS):
            settled = await count_batch(connection, queue, head)
            progress.add(settled)
        else:
            settled = 0
            await connection.execute("SELECT 1", timeout=5)
        progress.report()


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
    finally:
        try:
            await connection.close(timeout=1)
        except Unavailable:
            connection.terminate()

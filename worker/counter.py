"""Who counts: one worker holds a lock in the database and counts, the others stand by.

The lock belongs to the very connection that records, so a worker whose connection is gone can't write; as soon as it
is gone, the lock is free and another worker takes over. One that is asked to stop hands the counting over: it ends its
batch, releases the lock, and says so to those who stand by.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import asyncpg
import structlog
from asyncpg import Connection
from prometheus_client import Gauge

from common import systemd
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

COUNTING = Gauge("counting", "1 if this worker counts.")
STANDING_BY = Gauge("standing_by", "1 if this worker stands by, ready to take over.")

HANDED_OVER = "counting_handed_over"  # the channel on which a worker that stops says when it counted last
STAND_BY_SECONDS = 0.5  # how often a worker that stands by asks for the lock without a notification
NOTIFIED_SECONDS = 0.1  # from the release of the lock until the notification is there, at most
IDLE_SECONDS = 1  # how often a worker with nothing to count looks whether its connection still lives
REPORT_SECONDS = 1.0
MOMENT_SECONDS = 0.01
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0  # before the next try, while a server is away
LONGEST_PAUSE_WHEN_FAILING_SECONDS = 10.0  # and while somebody has to mend something

# Frees the lock at once, and notifies those who stand by when it commits.
HAND_OVER = "SELECT pg_advisory_unlock($1), pg_notify($2, $3)"

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

T = TypeVar("T")


class Status:
    """What this worker is doing, for its readiness, its metrics and its log.

    `started` is set once it counts, stands by, or waits for servers. A worker that fails may have a mistake in its
    code: the one before it goes on.
    """

    def __init__(self) -> None:
        self.state = "starting"
        self.started = asyncio.Event()
        self._problem = "not connected yet"

    async def check(self) -> None:
        """Raise when the worker neither counts nor stands by."""
        if self.state not in ("counting", "standing_by"):
            raise ConnectionError(self._problem)

    def stands_by(self) -> None:
        self._become("standing_by")

    def counts(self, **facts: Any) -> None:
        self._become("counting", **facts)

    def hands_over(self) -> None:
        """It has counted its last vote."""
        self._problem = "the counting was handed over"
        self._become("handed_over")

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

    def _become(self, state: str, level: int = logging.INFO, *, is_news: bool = False, **facts: Any) -> None:
        if state != self.state or is_news:  # one line per change, not per attempt
            log.log(level, state, **facts)
            systemd.status(f"{state.replace('_', ' ')} {facts.get('problem', '')}")
        self.state = state
        if state != "failing":
            self.started.set()
        COUNTING.set(state == "counting")
        STANDING_BY.set(state == "standing_by")


class Stop:
    """Asks the worker to stop: it ends its batch, and hands the counting over."""

    def __init__(self) -> None:
        self.asked_at = 0.0  # in Unix seconds
        self._asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done = asyncio.Event()

    @property
    def is_asked(self) -> bool:
        return self._asked.done()

    async def now(self) -> None:
        """Ask; return when the worker has stopped."""
        if not self.is_asked:
            self.asked_at = time.time()
            self._asked.set_result(None)
        await self.done.wait()

    async def unless(self, waiting: Coroutine[Any, Any, T]) -> T | None:
        """The result of the coroutine; None, and the coroutine is cancelled, when the worker is to stop."""
        task = asyncio.create_task(waiting)
        either: set[asyncio.Future[Any]] = {task, self._asked}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            await end(task)


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


async def count_votes(
    database_url: str, queue: VoteQueue, batch_size: int, status: Status, stop: Stop | None = None
) -> None:
    """Count until it is to stop: through lost connections, through faults, and with other workers beside this one."""
    stop = stop or Stop()
    worker = _Worker(database_url, queue, batch_size, status, stop)
    server = Reachability("postgresql")
    while not stop.is_asked:
        try:
            async with _connect(database_url) as connection:
                server.answers()
                await worker.work(connection)
        except Exception as error:  # whatever it is, it ends no process: a restart would not mend it
            if is_transient(error):
                if not isinstance(error, QueueUnavailable):
                    server.is_lost()
                status.waits(error)
                await stop.unless(worker.back_off.pause(LONGEST_PAUSE_SECONDS))
            else:
                status.fails(error)
                await stop.unless(worker.back_off.pause(LONGEST_PAUSE_WHEN_FAILING_SECONDS))
    stop.done.set()


class _Worker:
    """What a worker does with one connection after the other: get ready, stand by, count, hand over."""

    def __init__(self, database_url: str, queue: VoteQueue, batch_size: int, status: Status, stop: Stop) -> None:
        self.back_off = _BackOff()
        self._database_url = database_url
        self._queue = queue
        self._batch_size = batch_size
        self._status = status
        self._stop = stop

    async def work(self, connection: Connection) -> None:
        """Work until told to stop."""
        await self._queue.ping()
        await self._prepare(connection)
        handed_over_at = None
        if not await _try_lock(connection):
            handed_over_at = await self._stand_by(connection)
            if handed_over_at is None and not self._stop.is_asked:  # days may have gone by since it got ready
                await self._prepare(connection)
        if self._stop.is_asked:
            return
        checking = asyncio.create_task(heal_periodically(self._database_url))
        try:
            await self._count(connection, handed_over_at)
        finally:
            await end(checking)

    async def _prepare(self, connection: Connection) -> None:
        """Make sure that all is as counting needs it, before there is a vote; another worker may be counting."""
        await self._queue.wait(MOMENT_SECONDS)  # a Redis that takes nothing, being read-only, answers a ping as well
        await apply_schema(connection)
        await heal_tallies(connection)
        await record(connection, columns_of([]))

    async def _stand_by(self, connection: Connection) -> float | None:
        """Wait for the lock, or until told to stop; returns since when nobody counts, if that was handed over."""
        heard: asyncio.Queue[object] = asyncio.Queue()
        await connection.add_listener(HANDED_OVER, lambda *told: heard.put_nowait(told[-1]))
        handed_over_at = None
        while not self._stop.is_asked and not await _try_lock(connection):
            self._status.stands_by()
            handed_over_at = await self._stop.unless(_next_time(heard, STAND_BY_SECONDS))
        # it may have asked between the release and the notification
        return handed_over_at or await self._stop.unless(_next_time(heard, NOTIFIED_SECONDS))

    async def _count(self, connection: Connection, handed_over_at: float | None) -> None:
        progress = _Progress()
        head = QueueHead(self._queue, self._batch_size)
        settled = await count_batch(connection, self._queue, head, progress.add)
        self._status.counts(**_gap(handed_over_at, progress.last_at or time.time()))
        self.back_off.reset()
        while not self._stop.is_asked:
            progress.report()
            if settled == head.limit or await self._stop.unless(self._queue.wait(IDLE_SECONDS)):
                settled = await count_batch(connection, self._queue, head, progress.add)
            elif not self._stop.is_asked:
                settled = 0
                await connection.execute("SELECT 1", timeout=5)
        stopped_at = max(progress.last_at, self._stop.asked_at)
        await connection.fetchrow(HAND_OVER, COUNTING_LOCK, HANDED_OVER, str(stopped_at))
        self._status.hands_over()


async def _try_lock(connection: Connection) -> bool:
    return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1)", COUNTING_LOCK))


async def _next_time(heard: asyncio.Queue[object], within: float) -> float | None:
    """The time that the next notification gives, if one comes; anybody may notify, with any text."""
    with contextlib.suppress(TimeoutError, ValueError):
        async with asyncio.timeout(within):
            return float(str(await heard.get()))
    return None


def _gap(handed_over_at: float | None, recorded_at: float) -> dict[str, float]:
    """For how long nobody has counted, if that is known. Between two machines it is only as right as their clocks."""
    if handed_over_at is None:
        return {}
    return {"handover_ms": round(1000 * (recorded_at - handed_over_at), 1)}


class _Progress:
    """One log line a second at most, however many batches there are; of votes only, for a message may be none."""

    def __init__(self) -> None:
        self.last_at = 0.0  # when votes were recorded, in Unix seconds
        self._batches = 0
        self._reported = _recorded_so_far()
        self._reported_at = -REPORT_SECONDS

    def add(self, votes: int, at: float) -> None:
        self._batches += votes > 0
        self.last_at = at

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

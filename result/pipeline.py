"""The pipeline page's data: how votes get into the queue, how many wait and are recorded, and who counts them.

One inspection serves everybody who watches, and there is none while nobody watches: the pipeline is inspected when
somebody asks and the last report is too old. It takes ordinary rights in Redis and PostgreSQL, which shows locks and
the names of connections to every role.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import asyncpg
import structlog
from asyncpg import Connection
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from common.presence import COUNTING_LOCK, WORKER, VoteService, list_vote_services
from common.redis_client import client
from common.vote_queue import QueueBroken, QueueFull, QueueStats, QueueUnavailable, VoteQueue
from common.web import rfc3339
from result.pipeline_report import Inspection, Intake, State, Workers, panel_texts, verdict
from result.watch import LOST

REPORT_SECONDS = 0.8  # how old a report may be: less than the second after which a page asks again
ANSWER_SECONDS = 1.5  # a server that takes longer counts as unreachable, so that the page keeps updating
RATE_ACROSS_SECONDS = 5.0  # a rate across a longer gap would say little about the present
COMING_BACK_SECONDS = 5.0  # after Redis is back, every running vote service has reconnected within this time
# How long an unused connection is kept: less than the server's timeout, which it would log as FATAL.
KEEP_CONNECTION_SECONDS = 5.0
HISTORY = 60  # reports: a page that is opened beside others, or reloaded, has its charts at once
REASON_CHARACTERS = 200
TIME_CHARACTERS = 40
CHARTED = (
    *("read_at", "accepted", "waiting", "oldest_waiting_seconds", "recorded"),
    *("rejected", "viewers", "vote_services", "workers"),
)

# a worker polls for the lock instead of waiting for it, so one that stands by can only be told by its name
READ_WORKERS = """
SELECT substr(activity.application_name, length($1) + 2) AS name, lock.pid IS NOT NULL AS counts
  FROM pg_stat_activity AS activity
  LEFT JOIN pg_locks AS lock
         ON lock.pid = activity.pid AND lock.database = activity.datid AND lock.locktype = 'advisory' AND lock.granted
        AND lock.classid::bigint << 32 | lock.objid::bigint = $2
 WHERE activity.datid = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND starts_with(activity.application_name, $1)
 ORDER BY name
"""

# The database can be reached, but rejects us; whether it rejects the worker too is unknown.
_ACCESS_DENIED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.TooManyConnectionsError,
)

log = structlog.get_logger()

Answer = TypeVar("Answer")


class SourceUnavailable(Exception):
    """A source can't be read; `state` says why in one word, the text in more."""

    def __init__(self, state: State, problem: str) -> None:
        super().__init__(problem)
        self.state: State = state


async def _not_configured() -> Any:
    raise SourceUnavailable("not_configured", "its address is not set")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the data comes from; each raises SourceUnavailable when it can't be read."""

    queue: Callable[[], Awaitable[QueueStats]] = _not_configured
    workers: Callable[[], Awaitable[Workers]] = _not_configured
    intake: Callable[[], Awaitable[Intake]] = _not_configured
    viewers: Callable[[], int] = lambda: 0


@dataclass(frozen=True, slots=True)
class _Totals:
    at: float
    accepted: int
    recorded: int


class Pipeline:
    """Inspects the pipeline on demand."""

    def __init__(self, sources: Sources, clock: Callable[[], float] = time.monotonic) -> None:
        self.history: deque[dict[str, Any]] = deque(maxlen=HISTORY)
        self._sources = sources
        self._clock = clock
        self._inspecting = asyncio.Lock()
        self._report: dict[str, Any] | None = None
        self._began_at = self._ended_at = 0.0  # the last inspection
        self._totals: _Totals | None = None
        self._states: dict[str, State] = {}
        self._redis_gone_at: float | None = None  # when it was last found unreachable

    async def report(self) -> dict[str, Any]:
        """The last report, or a new one if that is too old.

        Whoever asks during an inspection gets its report: while a server hangs, an inspection takes seconds.
        """
        asked = self._clock()
        async with self._inspecting:
            is_old = asked > self._ended_at and asked - self._began_at >= REPORT_SECONDS
            if self._report is None or is_old:
                self._began_at = self._clock()
                self._report = await self._inspect()
                self._ended_at = self._clock()
                self.history.append({name: self._report[name] for name in CHARTED})
            return self._report

    async def _inspect(self) -> dict[str, Any]:
        read_at = datetime.now(UTC)
        (queue, redis), (workers, database), (intake, _) = await asyncio.gather(
            self._ask("redis", self._sources.queue),
            self._ask("database", self._sources.workers),
            self._ask("intake", self._sources.intake),
        )
        before, self._totals = self._totals, _totals(queue, self._clock())
        accepted, recorded = _rates(before, self._totals)
        found = Inspection(
            *(queue, workers, redis, database, intake),
            settling=bool(recorded),
            arriving=bool(accepted),
            just_back=self._is_just_back(redis),
        )
        figures = {
            "read_at": rfc3339(read_at),
            "accepted": queue and {"total": queue.counted + queue.waiting, "per_second": accepted},
            "waiting": queue and queue.waiting,
            "oldest_waiting_seconds": queue and queue.oldest_seconds(),
            "recorded": queue and {"total": queue.counted, "per_second": recorded},
            "rejected": queue and queue.rejected,
            "last_rejected": queue and _reasons(queue),
            "refusal": intake and intake.refusal,
            "vote_services": intake and _services(intake),
            "workers": workers and {"counting": workers.counting, "standing_by": list(workers.standing_by)},
            "viewers": self._sources.viewers(),
            "redis": redis,
            "database": database,
        }
        return {**asdict(verdict(found)), **figures, "words": panel_texts(figures)}

    async def _ask(self, name: str, source: Callable[[], Awaitable[Answer]]) -> tuple[Answer | None, State]:
        answer: Answer | None = None
        state: State = "answers"
        problem = ""
        try:
            answer = await source()
        except SourceUnavailable as error:
            state, problem = error.state, str(error)
        if state != self._states.get(name, "answers"):  # one line per change, not per inspection
            log.info("pipeline_seen_again" if answer else "pipeline_not_seen", of=name, problem=problem)
        self._states[name] = state
        return answer, state

    def _is_just_back(self, redis: State) -> bool:
        now = self._clock()
        if redis == "unreachable":
            self._redis_gone_at = now
        return self._redis_gone_at is not None and now - self._redis_gone_at < COMING_BACK_SECONDS


def _totals(queue: QueueStats | None, at: float) -> _Totals | None:
    return None if queue is None else _Totals(at, queue.counted + queue.waiting, queue.counted)


def _rates(before: _Totals | None, now: _Totals | None) -> tuple[float | None, float | None]:
    """How many votes a second were accepted and recorded since the last inspection, None if unknown."""
    if before is None or now is None or not 0 < (seconds := now.at - before.at) <= RATE_ACROSS_SECONDS:
        return None, None
    if now.accepted < before.accepted or now.recorded < before.recorded:
        return None, None  # somebody emptied Redis
    return (now.accepted - before.accepted) / seconds, (now.recorded - before.recorded) / seconds


def _reasons(queue: QueueStats) -> list[dict[str, str]]:
    """The reasons of the last rejections, newest first; the messages themselves are not for everybody to see."""
    return [
        {"reason": _first_line(rejection.reason), "rejected_at": rejection.rejected_at[:TIME_CHARACTERS]}
        for rejection in reversed(queue.last_rejected)
    ]


def _first_line(reason: str) -> str:
    # further lines of PostgreSQL's quote the row
    return (reason.splitlines() or [""])[0][:REASON_CHARACTERS]


def _services(intake: Intake) -> list[dict[str, Any]] | None:
    if intake.services is None:
        return None
    takes = "refuses votes" if intake.refusal else "takes votes"
    return [{**asdict(each), "does": "silent" if each.is_silent else takes} for each in intake.services]


class WorkersInDatabase:
    """Reads who counts, on a connection that is closed when it has not been used for a while."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connection: Connection | None = None
        self._let_go: asyncio.TimerHandle | None = None

    async def read(self) -> Workers:
        """Who counts and who stands by; raises SourceUnavailable."""
        if self._let_go is not None:
            self._let_go.cancel()
        self._let_go = asyncio.get_running_loop().call_later(ANSWER_SECONDS + KEEP_CONNECTION_SECONDS, self.close)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                rows = await (await self._connected()).fetch(READ_WORKERS, WORKER, COUNTING_LOCK)
        except _ACCESS_DENIED as error:
            raise SourceUnavailable("refuses", str(error)) from error
        except LOST as error:
            self.close()
            raise SourceUnavailable("unreachable", str(error) or type(error).__name__) from error
        names = {row["name"]: row["counts"] for row in rows}
        counting = next((name for name, counts in names.items() if counts), None)
        return Workers(counting, tuple(name for name, counts in names.items() if not counts))

    def close(self) -> None:
        """Close the connection at once."""
        if self._let_go is not None:
            self._let_go.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._url,
                timeout=ANSWER_SECONDS,
                command_timeout=ANSWER_SECONDS,
                server_settings={"application_name": "tallyho-pipeline", "idle_session_timeout": "20s"},
            )
        return self._connection


@asynccontextmanager
async def open_sources(
    queue: VoteQueue, redis_url: str, database_url: str, viewers: Callable[[], int], *, redis_is_set: bool
) -> AsyncIterator[Sources]:
    """The real sources; they connect when first used, and close at the end."""
    workers = WorkersInDatabase(database_url)
    async with client(redis_url, ANSWER_SECONDS) as redis:
        try:
            yield Sources(
                queue=read_from_redis(queue.stats, address_is_set=redis_is_set),
                workers=workers.read,
                intake=read_from_redis(
                    intake_reader(queue.check_writable, lambda: list_vote_services(redis)), address_is_set=redis_is_set
                ),
                viewers=viewers,
            )
        finally:
            workers.close()


def read_from_redis(ask: Callable[[], Awaitable[Answer]], *, address_is_set: bool) -> Callable[[], Awaitable[Answer]]:
    """Asks Redis, for no longer than a page waits; the returned function raises SourceUnavailable."""

    async def read() -> Answer:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await ask()
        except QueueUnavailable as error:
            raise SourceUnavailable(_redis_state(error, address_is_set), str(error)) from error
        except TimeoutError as error:
            raise SourceUnavailable("unreachable", f"Redis: no answer within {ANSWER_SECONDS} s") from error

    return read


def _redis_state(error: QueueUnavailable, address_is_set: bool) -> State:
    if not address_is_set:
        return "not_configured"  # the default address is only a guess
    if isinstance(error, QueueBroken):
        return "broken"
    return "refuses" if isinstance(error.__cause__, ResponseError | AuthenticationError) else "unreachable"


def intake_reader(
    check_writable: Callable[[], Awaitable[None]], services: Callable[[], Awaitable[tuple[VoteService, ...]]]
) -> Callable[[], Awaitable[Intake]]:
    """Asks Redis whether it would take a vote, and which vote services are connected."""

    async def refusal() -> str | None:
        try:
            await check_writable()
        except QueueUnavailable as error:
            return _why(error)
        return ""

    async def known() -> tuple[VoteService, ...] | None:
        try:
            return await services()
        except (RedisError, OSError, TimeoutError):
            return None

    async def read() -> Intake:
        return Intake(*await asyncio.gather(refusal(), known()))

    return read


def _why(error: QueueUnavailable) -> str | None:
    """Why Redis takes no votes, in few words; None if it can't be reached, or won't say."""
    cause = error.__cause__
    if isinstance(error, QueueFull):
        return "Redis has no memory left"
    if isinstance(error, QueueBroken):
        return "Redis holds something else where the queue should be"
    if isinstance(cause, ReadOnlyError):
        return "this Redis is a replica, which only reads"
    if isinstance(cause, TimeoutError | RedisTimeoutError):
        return "Redis holds back whatever would change something"
    if isinstance(cause, NoPermissionError) or not isinstance(cause, ResponseError):
        return None
    said = str(cause)
    if said.startswith("MISCONF"):
        return "Redis can't write to its disk"
    return "Redis misses its replicas" if said.startswith("NOREPLICAS") else f"Redis says: {_first_line(said)}"

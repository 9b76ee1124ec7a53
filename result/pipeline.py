"""The pipeline at work: how votes get into the queue, how many wait and are recorded, and who counts them.

One look serves everybody who watches, and nobody looks when nobody watches: a look is taken when somebody asks and the
last one is too old. It goes to Redis and to the database, with ordinary rights: PostgreSQL shows locks and the names of
connections to every role.
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

from common.counting import COUNTING_LOCK, WORKER
from common.overview import Overview
from common.redis_client import client
from common.vote_queue import QueueBroken, QueueFull, QueueUnavailable, VoteQueue
from common.vote_services import VoteService, vote_services
from common.web import rfc3339
from result.pipeline_report import Findings, Intake, State, Workers, verdict, words
from result.watch import LOST

LOOK_AT_MOST_EVERY_SECONDS = 0.8  # less than the second in which a page asks again, or it would get one look twice
ANSWER_SECONDS = 1.5  # a server that takes longer counts as gone, so that the page goes on telling
RATE_ACROSS_SECONDS = 5.0  # a rate across a longer gap would say little about now
COMING_BACK_SECONDS = 5.0  # so much later than Redis, every vote service that runs is connected to it again
# So much later than the last look, the connection is let go: before the server ends it, which its log calls FATAL.
LET_GO_SECONDS = 5.0
HISTORY = 60  # looks: a page that is opened beside others, or reloaded, has its charts at once
REASON_CHARACTERS = 200
TIME_CHARACTERS = 40
CHARTED = (
    *("read_at", "accepted", "waiting", "oldest_waiting_seconds", "recorded"),
    *("rejected", "viewers", "vote_services", "workers"),
)

# a worker asks for the lock again and again without waiting for it, so only its name shows one that stands by
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

# The database is there, and doesn't let us in; whether it lets the worker in can't be told from that.
_NOT_LET_IN = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.TooManyConnectionsError,
)

log = structlog.get_logger()

Answer = TypeVar("Answer")


class NotSeen(Exception):
    """A source tells nothing; `state` says why in one word, the text in more."""

    def __init__(self, state: State, problem: str) -> None:
        super().__init__(problem)
        self.state: State = state


async def _not_configured() -> Any:
    raise NotSeen("not_configured", "nobody said where it is")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look; each raises NotSeen when it can't tell."""

    queue: Callable[[], Awaitable[Overview]] = _not_configured
    workers: Callable[[], Awaitable[Workers]] = _not_configured
    intake: Callable[[], Awaitable[Intake]] = _not_configured
    viewers: Callable[[], int] = lambda: 0


@dataclass(frozen=True, slots=True)
class _Totals:
    at: float
    accepted: int
    recorded: int


class Pipeline:
    """Looks at the pipeline for those who ask."""

    def __init__(self, sources: Sources, clock: Callable[[], float] = time.monotonic) -> None:
        self.history: deque[dict[str, Any]] = deque(maxlen=HISTORY)
        self._sources = sources
        self._clock = clock
        self._looking = asyncio.Lock()
        self._report: dict[str, Any] | None = None
        self._looked_at = self._seen_at = 0.0  # when the last look began, and ended
        self._totals: _Totals | None = None
        self._states: dict[str, State] = {}
        self._redis_gone_at: float | None = None  # when a look last found it so

    async def report(self) -> dict[str, Any]:
        """What the last look found; takes a new one if that is too long ago.

        Who asks while one is taken is told what it finds: while a server hangs, a look takes seconds.
        """
        asked = self._clock()
        async with self._looking:
            is_old = asked > self._seen_at and asked - self._looked_at >= LOOK_AT_MOST_EVERY_SECONDS
            if self._report is None or is_old:
                self._looked_at = self._clock()
                self._report = await self._look()
                self._seen_at = self._clock()
                self.history.append({name: self._report[name] for name in CHARTED})
            return self._report

    async def _look(self) -> dict[str, Any]:
        read_at = datetime.now(UTC)
        (queue, redis), (workers, database), (intake, _) = await asyncio.gather(
            self._ask("redis", self._sources.queue),
            self._ask("database", self._sources.workers),
            self._ask("intake", self._sources.intake),
        )
        before, self._totals = self._totals, _totals(queue, self._clock())
        accepted, recorded = _rates(before, self._totals)
        found = Findings(
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
        return {**asdict(verdict(found)), **figures, "words": words(figures)}

    async def _ask(self, name: str, source: Callable[[], Awaitable[Answer]]) -> tuple[Answer | None, State]:
        answer: Answer | None = None
        state: State = "answers"
        problem = ""
        try:
            answer = await source()
        except NotSeen as error:
            state, problem = error.state, str(error)
        if state != self._states.get(name, "answers"):  # one line per change, not per look
            log.info("pipeline_seen_again" if answer else "pipeline_not_seen", of=name, problem=problem)
        self._states[name] = state
        return answer, state

    def _is_just_back(self, redis: State) -> bool:
        now = self._clock()
        if redis == "unreachable":
            self._redis_gone_at = now
        return self._redis_gone_at is not None and now - self._redis_gone_at < COMING_BACK_SECONDS


def _totals(queue: Overview | None, at: float) -> _Totals | None:
    return None if queue is None else _Totals(at, queue.counted + queue.waiting, queue.counted)


def _rates(before: _Totals | None, now: _Totals | None) -> tuple[float | None, float | None]:
    """How many votes a second were accepted and recorded since the last look, None where that can't be said."""
    if before is None or now is None or not 0 < (seconds := now.at - before.at) <= RATE_ACROSS_SECONDS:
        return None, None
    if now.accepted < before.accepted or now.recorded < before.recorded:
        return None, None  # somebody emptied Redis
    return (now.accepted - before.accepted) / seconds, (now.recorded - before.recorded) / seconds


def _reasons(queue: Overview) -> list[dict[str, str]]:
    """Why the last rejected messages were, the newest first; the messages themselves are not everybody's business."""
    return [
        {"reason": _first_line(rejection.reason), "rejected_at": rejection.rejected_at[:TIME_CHARACTERS]}
        for rejection in reversed(queue.last_rejected)
    ]


def _first_line(reason: str) -> str:
    # PostgreSQL's further lines quote the row
    return (reason.splitlines() or [""])[0][:REASON_CHARACTERS]


def _services(intake: Intake) -> list[dict[str, Any]] | None:
    if intake.services is None:
        return None
    takes = "refuses votes" if intake.refusal else "takes votes"
    return [{**asdict(each), "does": "silent" if each.is_silent else takes} for each in intake.services]


class WorkersInDatabase:
    """Reads who counts, on a connection that is let go when nobody has looked for a while."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connection: Connection | None = None
        self._let_go: asyncio.TimerHandle | None = None

    async def read(self) -> Workers:
        """Who counts and who stands by; raises NotSeen."""
        if self._let_go is not None:
            self._let_go.cancel()
        self._let_go = asyncio.get_running_loop().call_later(ANSWER_SECONDS + LET_GO_SECONDS, self.close)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                rows = await (await self._connected()).fetch(READ_WORKERS, WORKER, COUNTING_LOCK)
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
    """The real ones; they connect when first asked, and let go at the end."""
    workers = WorkersInDatabase(database_url)
    async with client(redis_url, ANSWER_SECONDS) as redis:
        try:
            yield Sources(
                queue=seen_in_redis(queue.overview, address_is_set=redis_is_set),
                workers=workers.read,
                intake=seen_in_redis(
                    intake_reader(queue.check_writable, lambda: vote_services(redis)), address_is_set=redis_is_set
                ),
                viewers=viewers,
            )
        finally:
            workers.close()


def seen_in_redis(ask: Callable[[], Awaitable[Answer]], *, address_is_set: bool) -> Callable[[], Awaitable[Answer]]:
    """Asks Redis, for so long as a page waits; what is returned raises NotSeen."""

    async def read() -> Answer:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await ask()
        except QueueUnavailable as error:
            raise NotSeen(_redis_state(error, address_is_set), str(error)) from error
        except TimeoutError as error:
            raise NotSeen("unreachable", f"Redis: no answer within {ANSWER_SECONDS} s") from error

    return read


def _redis_state(error: QueueUnavailable, address_is_set: bool) -> State:
    if not address_is_set:
        return "not_configured"  # nobody said that there is a Redis where we looked
    if isinstance(error, QueueBroken):
        return "broken"
    return "refuses" if isinstance(error.__cause__, ResponseError | AuthenticationError) else "unreachable"


def intake_reader(
    check_writable: Callable[[], Awaitable[None]], services: Callable[[], Awaitable[tuple[VoteService, ...]]]
) -> Callable[[], Awaitable[Intake]]:
    """Asks Redis whether it would take a vote, and which vote services it knows."""

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
    """Why Redis takes no votes, in few words; None if it was not reached, or won't say."""
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

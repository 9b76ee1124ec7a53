"""The queue of accepted votes: the Redis list `votes`, and how many were settled since it began.

Nothing is taken off the list before it is recorded (peek, record, settle), so after a crash anywhere the head of the
queue is replayed in order. The length of the list is exactly the number of accepted votes that are not yet counted.
"""

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from common.message import MESSAGE_BYTES, NOTE_BYTES, Rejection, cast_time, read_rejection, rejection_note
from common.metrics import Reachability
from common.redis_client import PUSH_TIMEOUT_SECONDS as PUSH_TIMEOUT_SECONDS
from common.redis_client import NotPushed as NotPushed
from common.redis_client import PushConnection, client
from common.redis_client import QueueBroken as QueueBroken
from common.redis_client import QueueFull as QueueFull
from common.redis_client import QueueUnavailable as QueueUnavailable
from common.tasks import end

VOTES = "votes"
COUNTED = "{votes}:counted"  # the braces put it in the same Redis Cluster slot as `votes`
REJECTED = "votes:rejected"
POLL = "{votes}:poll"  # a random name for the votes in the tally, replaced when they are dropped
PROBE = "{votes}:probe"  # never exists: appending to a missing list changes nothing, and is refused like a vote

POLL_LOOK_SECONDS = 0.25  # how often a vote service checks whether the votes were dropped
DELAYED_SECONDS = 5.0  # voters and operators are told when an accepted vote waits longer than this
LAST_REJECTED = 5  # how many rejected messages the statistics include
COMMAND_TIMEOUT_SECONDS = 5.0
LONG_SECONDS = 60.0  # for how long messages of megabytes are not read again, while nothing else has come
PROBE_TIMEOUT_SECONDS = 1.0  # shorter than the timeouts of readiness and of the pipeline page

# The scripts below run in Redis, each as a whole or not at all; KEYS[1] is the list of waiting votes.
#
# A full Redis (`maxmemory`) refuses commands that could take memory, but within a script only if it is the first write.
# Emptying the queue must work just then. So whatever a worker needs begins with a trim, even one that removes nothing.

SETTLE = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('LTRIM', KEYS[1], ARGV[2], -1)
redis.call('INCRBY', KEYS[2], ARGV[2])
return 1
"""

# What is dropped counts as settled, so that a settle under way finds that the queue has moved, and leaves it alone.
DROP = """
local waiting = redis.call('LLEN', KEYS[1])
redis.call('DEL', KEYS[1], KEYS[3])
redis.call('INCRBY', KEYS[2], waiting)
return waiting
"""

# A queue that is new, or was emptied by somebody, gets a count, so that a settle under way meanwhile can't mistake one
# for the other. Not in MULTI, where a full Redis refuses to read, too.
PEEK = """
local counted = redis.call('GET', KEYS[2])
if not counted then
    redis.call('LTRIM', KEYS[1], 0, -1)
    redis.call('SET', KEYS[2], 0)
    counted = '0'
end
return {counted, redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[1] + ARGV[2] - 1)}
"""

REJECT = """
redis.call('LTRIM', KEYS[1], 0, -1)
for _, note in ipairs(ARGV) do redis.call('RPUSH', KEYS[2], note) end
"""

# Read-only, consistent, and at most a few kilobytes whatever is there. KEYS: the waiting votes, the count, the rejected
# messages. ARGV: how many of the rejected, how many bytes of a message and of a note. Cutting 60 MB blocks Redis for
# half a second: a caller that has just met such messages names their position in ARGV[4] to be spared them.
# Not in MULTI, where a full Redis refuses to read, too.
STATS = """
local function beginnings(list, bytes)
    for place, each in ipairs(list) do list[place] = string.sub(each, 1, bytes) end
    return list
end
local waiting, rejected = redis.call('LLEN', KEYS[1]), redis.call('LLEN', KEYS[3])
local counted = redis.call('GET', KEYS[2])
counted = counted and string.sub(counted, 1, 32)
local position = (counted or '') .. ':' .. rejected
if position == ARGV[4] then return {waiting, counted, false, rejected, false, position} end
local head = beginnings(redis.call('LRANGE', KEYS[1], 0, 0), ARGV[2])
local notes = beginnings(redis.call('LRANGE', KEYS[3], -ARGV[1], -1), ARGV[3])
return {waiting, counted, head, rejected, notes, position}
"""


@dataclass(frozen=True, slots=True)
class Peek:
    """Messages of the queue, and how many had been settled when the first of them came to the head."""

    position: int
    messages: list[bytes]


@dataclass(frozen=True, slots=True)
class QueueStats:
    """The state of the queue at one moment. `counted` is how many messages were settled since the queue began."""

    waiting: int
    counted: int
    oldest_cast_at: datetime | None
    rejected: int
    last_rejected: tuple[Rejection, ...]

    def oldest_seconds(self) -> float | None:
        """How long the oldest vote has waited: 0 when none waits, None when it does not say when it was cast."""
        if not self.waiting:
            return 0.0
        if self.oldest_cast_at is None:
            return None
        return max(0.0, (datetime.now(UTC) - self.oldest_cast_at).total_seconds())

    def is_delayed(self) -> bool:
        """Whether a vote is known to have waited for too long."""
        age = self.oldest_seconds()
        return age is not None and age > DELAYED_SECONDS


@dataclass(frozen=True, slots=True)
class _Long:
    """The beginnings of messages that are too long to be read again each time."""

    position: bytes
    head: list[bytes]
    notes: list[bytes]
    until: float


class VoteQueue:
    """The queue in Redis. Every method raises QueueUnavailable when Redis does not answer as it should."""

    def __init__(self, url: str) -> None:
        self._redis = client(url, COMMAND_TIMEOUT_SECONDS)
        # a cancelled blocking command can leave its connection dirty (redis-py #2579), so it has its own
        self._blocking = client(url, COMMAND_TIMEOUT_SECONDS)
        self._probing = client(url, PROBE_TIMEOUT_SECONDS)  # a paused Redis blocks this one, and no other
        self._probe: asyncio.Task[None] | None = None
        self._long: _Long | None = None
        self._server = Reachability("redis")
        self._pushing = PushConnection(url, VOTES, self._server)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> "AsyncIterator[VoteQueue]":
        """The queue at a `redis://` or `unix://` address; connects when first used, closes at the end."""
        queue = cls(url)
        try:
            yield queue
        finally:
            await queue._close()

    async def push(self, messages: Sequence[bytes], *, within: float = PUSH_TIMEOUT_SECONDS) -> int:
        """Append votes together, all of them or none, waiting for Redis if necessary. Returns how many wait now.

        Raises NotPushed or QueueFull when the votes are certainly not in the queue, otherwise QueueUnavailable.
        """
        return await self._pushing.push(messages, within)

    async def until_pushable(self) -> None:
        """Return as soon as Redis can be pushed to, however long that takes."""
        await self._pushing.until_open()

    @property
    def problem(self) -> str:
        """Why Redis can't be pushed to, if so."""
        return self._pushing.problem

    async def waiting(self) -> int:
        """How many accepted votes are not yet counted."""
        return int(await self._ask(self._redis.llen(VOTES)))

    async def peek(self, limit: int, *, behind: int = 0) -> Peek:
        """Up to `limit` votes, which stay in the queue: from its head, or from `behind` that many."""
        counted, messages = await self._ask(self._redis.eval(PEEK, 2, VOTES, COUNTED, behind, limit))
        return Peek(_count(counted) + behind, messages)

    async def is_at_head(self, peek: Peek) -> bool:
        """Whether exactly the votes before these were taken off, and nobody has emptied the queue since the peek."""
        counted = await self._ask(self._redis.get(COUNTED))
        return counted is not None and _count(counted) == peek.position

    async def settle(self, peek: Peek) -> bool:
        """Take the peeked votes off; False, changing nothing, if the queue has moved since."""
        keys_and_values = (VOTES, COUNTED, peek.position, len(peek.messages))
        return bool(await self._ask(self._redis.eval(SETTLE, 2, *keys_and_values)))

    async def reject(self, rejected: Sequence[tuple[bytes, str]]) -> None:
        """Note messages that can't be counted, each with its reason: at least once, twice after a crash."""
        now = datetime.now(UTC).isoformat()
        notes = [rejection_note(message, reason, now) for message, reason in rejected]
        await self._ask(self._redis.eval(REJECT, 2, VOTES, REJECTED, *notes))

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait until there are votes (True) or the timeout is over; takes nothing."""
        try:
            # moving the head of a list to its own head is a blocking peek
            blmove = cast(Any, self._blocking.blmove)  # its type hints allow only whole seconds
            head = await self._ask(blmove(VOTES, VOTES, timeout_seconds, src="LEFT", dest="LEFT"))
        except QueueFull:  # a full Redis refuses even this, and the worker that empties it must not wait for that
            if await self.waiting():
                return True
            await asyncio.sleep(timeout_seconds)
            return False
        return head is not None

    async def drop_all(self) -> int:
        """Empty the queue and the list of rejected messages. Returns how many votes were dropped."""
        dropped = int(await self._ask(self._redis.eval(DROP, 3, VOTES, COUNTED, POLL)))
        await self._ask(self._redis.delete(REJECTED))
        return dropped

    async def poll(self) -> str:
        """The name of the votes in the tally and the queue; it changes when all are dropped."""
        name = await self._ask(self._redis.get(POLL))
        if name is None:
            await self._ask(self._redis.setnx(POLL, uuid.uuid4().hex[:12]))
            name = await self._ask(self._redis.get(POLL)) or b""
        return str(name.decode(errors="replace"))

    async def stats(self) -> QueueStats:
        """The state of the queue, all from one moment."""
        long = self._long if self._long and time.monotonic() < self._long.until else None
        bounds = (LAST_REJECTED, MESSAGE_BYTES, NOTE_BYTES, long.position if long else b"")
        answer = await self._ask(self._read(STATS, (VOTES, COUNTED, REJECTED, *bounds), keys=3))
        waiting, counted, head, rejected, notes, position = answer
        if long and head is None:
            head, notes = long.head, long.notes
        else:
            self._long = _long(position, head, notes)
        last_rejected = tuple(read_rejection(note) for note in notes)
        return QueueStats(
            int(waiting), 0 if counted is None else _count(counted), cast_time(head), int(rejected), last_rejected
        )

    async def check_writable(self) -> None:
        """Raise unless Redis would take a vote now; concurrent callers share one probe."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._probe_once())
            self._probe.add_done_callback(_retrieve_exception)
        await asyncio.shield(self._probe)

    async def ping(self) -> None:
        """Raise unless Redis answers."""
        await self._ask(self._redis.ping())

    async def _probe_once(self) -> None:
        # does not concern `_server`: a Redis that blocks writes is not lost, and answers everything else
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                await cast(Any, self._probing.llen(VOTES))  # fails if `votes` is not a list
                await cast(Any, self._probing.rpushx(PROBE, "x"))
        except OutOfMemoryError as error:
            raise QueueFull(f"Redis takes no votes: {error}") from error
        except (RedisError, OSError, TimeoutError) as error:
            why = str(error) or f"no answer within {PROBE_TIMEOUT_SECONDS} s"
            kind = QueueBroken if "WRONGTYPE" in str(error) else QueueUnavailable
            raise kind(f"Redis takes no votes: {why}") from error

    async def _read(self, script: str, keys_and_values: Sequence[str | bytes | int], *, keys: int) -> Any:
        """Run a read-only script. Before version 7 Redis has none, and blocks this one with all writes."""
        try:
            return await cast(Any, self._redis.eval_ro(script, keys, *keys_and_values))
        except ResponseError as error:
            if "unknown command" not in str(error):
                raise
        return await cast(Any, self._redis.eval(script, keys, *keys_and_values))

    async def _ask(self, answer: Any) -> Any:
        try:
            answered = await answer
        except (RedisError, OSError, TimeoutError) as error:
            raise self._unavailable(error) from error
        self._server.answers()
        return answered

    def _unavailable(self, error: Exception) -> QueueUnavailable:
        if isinstance(error, OutOfMemoryError):
            return QueueFull(f"Redis: {error}")
        if not isinstance(error, ResponseError):  # a Redis that refuses can be reached
            self._server.is_lost()
        elif "WRONGTYPE" in str(error):
            return QueueBroken(f"Redis: {error}")
        return QueueUnavailable(f"Redis: {str(error) or type(error).__name__}")

    async def _close(self) -> None:
        if self._probe is not None:
            await end(self._probe)
        await self._pushing.close()
        for redis in (self._redis, self._blocking, self._probing):
            await redis.aclose()


def _long(position: bytes, head: list[bytes], notes: list[bytes]) -> _Long | None:
    """What to remember, if anything was cut; not for ever, as somebody may have replaced it."""
    if all(len(each) < MESSAGE_BYTES for each in head) and all(len(each) < NOTE_BYTES for each in notes):
        return None
    return _Long(position, head, notes, time.monotonic() + LONG_SECONDS)


def _retrieve_exception(probe: asyncio.Task[None]) -> None:
    """All callers may have been cancelled, and asyncio complains about exceptions that nobody retrieves."""
    if not probe.cancelled():
        probe.exception()


def _count(value: bytes) -> int:
    """The value of `{votes}:counted`, exactly as Redis writes it, because a settle compares it as text."""
    if not re.fullmatch(rb"0|[1-9][0-9]{0,17}", value):
        shown = value[:40].decode(errors="backslashreplace")
        raise QueueBroken(f"Redis: {COUNTED} is {shown!r}, which is not a count of votes: set it to 0")
    return int(value)

"""The queue of accepted votes: the Redis list `votes`, and how many were settled since it began.

Nothing is taken off the list before it is recorded (peek, record, settle), so a crash anywhere replays the head of the
queue in order. The length of the list is exactly the number of accepted votes that are not yet counted.
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

from common.overview import (
    LAST_REJECTED,
    MESSAGE_BYTES,
    NOTE_BYTES,
    Overview,
    cast_time,
    read_rejection,
    rejection_note,
)
from common.pushing import PUSH_TIMEOUT_SECONDS as PUSH_TIMEOUT_SECONDS
from common.pushing import Pushing
from common.queue_scripts import DROP, OVERVIEW, PEEK, REJECT, SETTLE
from common.reachable import Reachable
from common.redis_client import NotPushed as NotPushed
from common.redis_client import QueueBroken as QueueBroken
from common.redis_client import QueueFull as QueueFull
from common.redis_client import QueueUnavailable as QueueUnavailable
from common.redis_client import client
from common.tasks import end

VOTES = "votes"
COUNTED = "{votes}:counted"  # the braces put it in the same Redis Cluster slot as `votes`
REJECTED = "votes:rejected"
POLL = "{votes}:poll"  # a random name for what is in the tally: made anew when that is emptied

POLL_LOOK_SECONDS = 0.25  # how often a vote service looks whether that was emptied
PROBE = "{votes}:probe"  # never exists: appending to what does not exist changes nothing, and is refused like a vote

COMMAND_TIMEOUT_SECONDS = 5.0
LONG_SECONDS = 60.0  # how long messages of megabytes are not read again, while they are all that is there
PROBE_TIMEOUT_SECONDS = 1.0  # less than whoever asks for readiness, or for the pipeline page, is kept waiting


@dataclass(frozen=True, slots=True)
class Peek:
    """Messages of the queue, and how many are settled when the first of them is at the head."""

    position: int
    messages: list[bytes]


@dataclass(frozen=True, slots=True)
class _Long:
    """The beginnings of messages that were too long to be read again with every look."""

    position: bytes
    head: list[bytes]
    notes: list[bytes]
    until: float


class VoteQueue:
    """The queue in Redis. Every method raises QueueUnavailable when Redis does not answer as it should."""

    def __init__(self, url: str) -> None:
        self._redis = client(url, COMMAND_TIMEOUT_SECONDS)
        # a cancelled blocking command can leave its connection dirty (redis-py #2579): it has one to itself
        self._blocking = client(url, COMMAND_TIMEOUT_SECONDS)
        self._probing = client(url, PROBE_TIMEOUT_SECONDS)  # a paused Redis holds it up, and nobody else
        self._probe: asyncio.Task[None] | None = None
        self._long: _Long | None = None
        self._server = Reachable("redis")
        self._pushing = Pushing(url, VOTES, self._server)

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
        """Append votes together: all of them or none. Returns how many wait now.

        A Redis that is away is waited for. Raises NotPushed or QueueFull when the votes are not in the queue for
        certain, and else QueueUnavailable.
        """
        return await self._pushing.push(messages, within)

    async def until_pushable(self) -> None:
        """Return once Redis can be pushed to, however long that takes."""
        await self._pushing.until_open()

    @property
    def problem(self) -> str:
        """Why Redis can't be pushed to, if so."""
        return self._pushing.problem

    async def waiting(self) -> int:
        """How many accepted votes are not yet counted."""
        return int(await self._ask(self._redis.llen(VOTES)))

    async def peek(self, limit: int, *, behind: int = 0) -> Peek:
        """Up to `limit` votes, which stay where they are: from the head, or `behind` so many that come before them."""
        counted, messages = await self._ask(self._redis.eval(PEEK, 2, VOTES, COUNTED, behind, limit))
        return Peek(_count(counted) + behind, messages)

    async def is_at_head(self, peek: Peek) -> bool:
        """Whether just those before these votes were taken off, and nobody has emptied the queue since the peek."""
        counted = await self._ask(self._redis.get(COUNTED))
        return counted is not None and _count(counted) == peek.position

    async def settle(self, peek: Peek) -> bool:
        """Take the peeked votes off, unless the queue has moved since: then False, and nothing is changed."""
        keys_and_values = (VOTES, COUNTED, peek.position, len(peek.messages))
        return bool(await self._ask(self._redis.eval(SETTLE, 2, *keys_and_values)))

    async def reject(self, rejected: Sequence[tuple[bytes, str]]) -> None:
        """Note messages that can't be counted, each with its reason; twice after a crash, never not at all."""
        now = datetime.now(UTC).isoformat()
        notes = [rejection_note(message, reason, now) for message, reason in rejected]
        await self._ask(self._redis.eval(REJECT, 2, VOTES, REJECTED, *notes))

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait until there are votes (True) or the time is over; takes nothing."""
        try:
            # moving the head of a list to its own head is a peek that blocks
            blmove = cast(Any, self._blocking.blmove)  # whose types know whole seconds only
            head = await self._ask(blmove(VOTES, VOTES, timeout_seconds, src="LEFT", dest="LEFT"))
        except QueueFull:  # a full Redis refuses that as well: whoever is to empty it must not wait for it
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
        """What names the votes in the tally and the queue; another name after all were dropped."""
        name = await self._ask(self._redis.get(POLL))
        if name is None:
            await self._ask(self._redis.setnx(POLL, uuid.uuid4().hex[:12]))
            name = await self._ask(self._redis.get(POLL)) or b""
        return str(name.decode(errors="replace"))

    async def overview(self) -> Overview:
        """The queue at a glance, all of it from one moment."""
        long = self._long if self._long and time.monotonic() < self._long.until else None
        bounds = (LAST_REJECTED, MESSAGE_BYTES, NOTE_BYTES, long.position if long else b"")
        answer = await self._ask(self._read(OVERVIEW, (VOTES, COUNTED, REJECTED, *bounds), keys=3))
        waiting, counted, head, rejected, notes, position = answer
        if long and head is None:
            head, notes = long.head, long.notes
        else:
            self._long = _long(position, head, notes)
        last_rejected = tuple(read_rejection(note) for note in notes)
        return Overview(
            int(waiting), 0 if counted is None else _count(counted), cast_time(head), int(rejected), last_rejected
        )

    async def check_writable(self) -> None:
        """Raise unless Redis would take a vote now; those who ask meanwhile share the answer."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._probe_once())
            self._probe.add_done_callback(_heard)
        await asyncio.shield(self._probe)

    async def ping(self) -> None:
        """Ask Redis for a sign of life."""
        await self._ask(self._redis.ping())

    async def _probe_once(self) -> None:
        # no word to `_server`: a Redis that holds up writes is not lost, and answers everything else
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                await cast(Any, self._probing.llen(VOTES))  # or is `votes` no list?
                await cast(Any, self._probing.rpushx(PROBE, "x"))
        except OutOfMemoryError as error:
            raise QueueFull(f"Redis takes no votes: {error}") from error
        except (RedisError, OSError, TimeoutError) as error:
            why = str(error) or f"no answer within {PROBE_TIMEOUT_SECONDS} s"
            kind = QueueBroken if "WRONGTYPE" in str(error) else QueueUnavailable
            raise kind(f"Redis takes no votes: {why}") from error

    async def _read(self, script: str, keys_and_values: Sequence[str | bytes | int], *, keys: int) -> Any:
        """Run a script that only reads. Redis before 7 knows no such, and holds up this one too while writes wait."""
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
        if not isinstance(error, ResponseError):  # a Redis that refuses is there
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
    """What is to be remembered, if anything was cut; somebody may have put another in its place, so not for ever."""
    if all(len(each) < MESSAGE_BYTES for each in head) and all(len(each) < NOTE_BYTES for each in notes):
        return None
    return _Long(position, head, notes, time.monotonic() + LONG_SECONDS)


def _heard(probe: asyncio.Task[None]) -> None:
    """Nobody may be left to hear how it ended; asyncio would complain of that."""
    if not probe.cancelled():
        probe.exception()


def _count(value: bytes) -> int:
    """What `{votes}:counted` says. Only as Redis itself writes it, because a settle compares it letter by letter."""
    if not re.fullmatch(rb"0|[1-9][0-9]{0,17}", value):
        shown = value[:40].decode(errors="backslashreplace")
        raise QueueBroken(f"Redis: {COUNTED} is {shown!r}, which is no count of votes: set it to 0")
    return int(value)

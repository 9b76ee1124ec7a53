"""The queue of accepted votes: the Redis list `votes`, and how many were settled since it began.

Nothing is taken off the list before it is recorded (peek, record, settle), so a crash anywhere replays the head of the
queue in order. The length of the list is exactly the number of accepted votes that are not yet counted.
"""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from common.overview import LAST_REJECTED, Overview, cast_time, read_rejection
from common.queue_scripts import DROP, PEEK, REJECT, SETTLE
from common.reachable import Reachable
from common.redis_client import client, end_connections

VOTES = "votes"
COUNTED = "{votes}:counted"  # the braces put it in the same Redis Cluster slot as `votes`
REJECTED = "votes:rejected"

# A voter waits for this answer, and is told "not recorded" within two seconds.
PUSH_TIMEOUT_SECONDS = 1.5
COMMAND_TIMEOUT_SECONDS = 5.0


class QueueUnavailable(Exception):
    """Redis did not do what was asked. After a push: the votes are in doubt, casting them again is safe."""


class QueueFull(QueueUnavailable):
    """Redis has no memory left (`maxmemory`): the votes of a push are not in the queue, for certain."""


class QueueBroken(QueueUnavailable):
    """Redis has something else under the queue's keys: trying again does not help, somebody must mend it."""


@dataclass(frozen=True, slots=True)
class Peek:
    """Messages of the queue, and how many are settled when the first of them is at the head."""

    position: int
    messages: list[bytes]


class VoteQueue:
    """The queue in Redis. Every method raises QueueUnavailable when Redis does not answer as it should."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._redis = client(url, COMMAND_TIMEOUT_SECONDS)
        # a cancelled blocking command can leave its connection dirty (redis-py #2579): it has one to itself
        self._blocking = client(url, COMMAND_TIMEOUT_SECONDS)
        self._server = Reachable("redis")
        self._pushing: Redis | None = None
        self._push_name = ""
        self._unfenced: list[str] = []  # names of push connections that broke

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> "AsyncIterator[VoteQueue]":
        """The queue at a `redis://` or `unix://` address; connects when first used, closes at the end."""
        queue = cls(url)
        try:
            yield queue
        finally:
            await queue._close()

    async def push(self, messages: Sequence[bytes]) -> int:
        """Append votes in one command: all of them or none. Returns how many wait now."""
        try:
            async with asyncio.timeout(PUSH_TIMEOUT_SECONDS):
                redis = self._pushing or await self._connect_for_pushing()
                waiting = int(await cast(Any, redis.rpush(VOTES, *messages)))
        except OutOfMemoryError as error:
            raise QueueFull(f"Redis: {error}") from error
        except (RedisError, OSError, TimeoutError) as error:
            await self._drop_push_connection()
            raise self._unavailable(error) from error
        self._server.answers()
        return waiting

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
        notes = [
            json.dumps({"message": message.decode(errors="backslashreplace"), "reason": reason, "rejected_at": now})
            for message, reason in rejected
        ]
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
        dropped = int(await self._ask(self._redis.eval(DROP, 2, VOTES, COUNTED)))
        await self._ask(self._redis.delete(REJECTED))
        return dropped

    async def overview(self) -> Overview:
        """The queue at a glance, all of it from one moment, or nearly so: a full Redis takes no transaction."""
        try:
            return await self._overview(transaction=True)
        except QueueFull:
            return await self._overview(transaction=False)

    async def _overview(self, *, transaction: bool) -> Overview:
        async with self._redis.pipeline(transaction=transaction) as pipeline:
            pipeline.llen(VOTES)
            pipeline.get(COUNTED)
            pipeline.lrange(VOTES, 0, 0)
            pipeline.llen(REJECTED)
            pipeline.lrange(REJECTED, -LAST_REJECTED, -1)
            waiting, counted, head, rejected, notes = await self._ask(pipeline.execute())
        counted = 0 if counted is None else _count(counted)
        last_rejected = tuple(read_rejection(note) for note in notes)
        return Overview(int(waiting), counted, cast_time(head), int(rejected), last_rejected)

    async def ping(self) -> None:
        """Ask Redis for a sign of life."""
        await self._ask(self._redis.ping())

    async def _connect_for_pushing(self) -> Redis:
        self._push_name = f"push-{uuid.uuid4().hex}"
        self._pushing = client(
            self._url, PUSH_TIMEOUT_SECONDS, client_name=self._push_name, single_connection_client=True
        )
        if self._unfenced:
            await end_connections(self._pushing, self._unfenced)
            self._unfenced.clear()
        return self._pushing

    async def _drop_push_connection(self) -> None:
        redis, self._pushing = self._pushing, None
        if redis is not None:
            self._unfenced.append(self._push_name)
            with suppress(RedisError, OSError, TimeoutError):
                await redis.aclose()

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
        await self._drop_push_connection()
        for redis in (self._redis, self._blocking):
            await redis.aclose()


def _count(value: bytes) -> int:
    """What `{votes}:counted` says. Only as Redis itself writes it, because a settle compares it letter by letter."""
    if not re.fullmatch(rb"0|[1-9][0-9]{0,17}", value):
        shown = value[:40].decode(errors="backslashreplace")
        raise QueueBroken(f"Redis: {COUNTED} is {shown!r}, which is no count of votes: set it to 0")
    return int(value)

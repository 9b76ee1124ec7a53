"""The queue of accepted votes: the Redis list `votes`, and how many were settled since it began.

Nothing is taken off the list before it is recorded (peek, record, settle), so a crash anywhere replays the head of the
queue in order. The length of the list is exactly the number of accepted votes that are not yet counted.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

VOTES = "votes"
COUNTED = "{votes}:counted"  # the braces put it in the same Redis Cluster slot as `votes`
REJECTED = "votes:rejected"

# A voter waits for this answer, and is told "not recorded" within two seconds.
PUSH_TIMEOUT_SECONDS = 1.5
COMMAND_TIMEOUT_SECONDS = 5.0

_SETTLE = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('LTRIM', KEYS[1], ARGV[2], -1)
redis.call('INCRBY', KEYS[2], ARGV[2])
return 1
"""

# What is dropped counts as settled, so that a settle under way finds that the queue has moved, and leaves it alone.
_DROP = """
local waiting = redis.call('LLEN', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('INCRBY', KEYS[2], waiting)
return waiting
"""


class QueueUnavailable(Exception):
    """Redis did not do what was asked. After a push: the votes are in doubt, casting them again is safe."""


@dataclass(frozen=True, slots=True)
class Peek:
    """The head of the queue, and the count of settled votes that it was seen at."""

    counted: bytes
    messages: list[bytes]


class VoteQueue:
    """The queue in Redis. Every method raises QueueUnavailable when Redis does not answer as it should."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._redis = _client(url, COMMAND_TIMEOUT_SECONDS)
        # a cancelled blocking command can leave its connection dirty (redis-py #2579): it has one to itself
        self._blocking = _client(url, COMMAND_TIMEOUT_SECONDS)
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
                return int(await cast(Any, redis.rpush(VOTES, *messages)))
        except (RedisError, OSError, TimeoutError) as error:
            await self._drop_push_connection()
            raise _unavailable(error) from error

    async def waiting(self) -> int:
        """How many accepted votes are not yet counted."""
        return int(await self._ask(self._redis.llen(VOTES)))

    async def peek(self, limit: int) -> Peek:
        """Up to `limit` votes from the head, which stay where they are."""
        counted, messages = await self._read_head(limit)
        if counted is None:
            # A queue that has just begun, or one that somebody emptied: give the count a value, so that a settle which
            # was under way meanwhile can't mistake the one for the other.
            await self._ask(self._redis.set(COUNTED, 0, nx=True))
            counted, messages = await self._read_head(limit)
        return Peek(counted or b"0", messages)

    async def settle(self, peek: Peek) -> bool:
        """Take the peeked votes off, unless the queue has moved since: then False, and nothing is changed."""
        keys_and_values = (VOTES, COUNTED, peek.counted, len(peek.messages))
        return bool(await self._ask(self._redis.eval(_SETTLE, 2, *keys_and_values)))

    async def reject(self, rejected: Sequence[tuple[bytes, str]]) -> None:
        """Note messages that can't be counted, each with its reason; twice after a crash, never not at all."""
        now = datetime.now(UTC).isoformat()
        notes = [
            json.dumps({"message": message.decode(errors="backslashreplace"), "reason": reason, "rejected_at": now})
            for message, reason in rejected
        ]
        await self._ask(self._redis.rpush(REJECTED, *notes))

    async def wait(self, timeout_seconds: int) -> bool:
        """Wait until there are votes (True) or the time is over; takes nothing."""
        # moving the head of a list to its own head is a peek that blocks
        head = await self._ask(self._blocking.blmove(VOTES, VOTES, timeout_seconds, src="LEFT", dest="LEFT"))
        return head is not None

    async def drop_all(self) -> int:
        """Empty the queue and the list of rejected messages. Returns how many votes were dropped."""
        dropped = int(await self._ask(self._redis.eval(_DROP, 2, VOTES, COUNTED)))
        await self._ask(self._redis.delete(REJECTED))
        return dropped

    async def ping(self) -> None:
        """Ask Redis for a sign of life."""
        await self._ask(self._redis.ping())

    async def _read_head(self, limit: int) -> tuple[bytes | None, list[bytes]]:
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.get(COUNTED)
            pipeline.lrange(VOTES, 0, limit - 1)
            counted, messages = await self._ask(pipeline.execute())
        return counted, messages

    async def _connect_for_pushing(self) -> Redis:
        self._push_name = f"push-{uuid.uuid4().hex}"
        self._pushing = _client(
            self._url, PUSH_TIMEOUT_SECONDS, client_name=self._push_name, single_connection_client=True
        )
        if self._unfenced:
            await _end_connections(self._pushing, self._unfenced)
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
            return await answer
        except (RedisError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error

    async def _close(self) -> None:
        await self._drop_push_connection()
        for redis in (self._redis, self._blocking):
            await redis.aclose()


async def _end_connections(redis: Redis, names: Sequence[str]) -> None:
    """End the connections of these names, as far as Redis still has them.

    A push in doubt may wait unread in its socket; read after its voter has voted again, the older vote would win.
    """
    for client in await cast(Any, redis.client_list()):
        if client.get("name") in names:
            await cast(Any, redis.client_kill_filter(_id=client["id"]))


def _client(url: str, timeout_seconds: float, **options: Any) -> Redis:
    # no retries inside the client: a push that is tried again behind our back could come after a later one
    return Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        **options,
    )


def _unavailable(error: Exception) -> QueueUnavailable:
    return QueueUnavailable(f"Redis: {str(error) or type(error).__name__}")

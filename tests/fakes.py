"""Stand-ins for tests without servers; `tests/integration/test_vote_queue.py` holds them against the real thing."""

import asyncio
import json
from collections.abc import Sequence

from common.message import MESSAGE_BYTES, Rejection, cast_time, rejection_note
from common.vote_queue import LAST_REJECTED, PUSH_TIMEOUT_SECONDS, NotPushed, Peek, QueueStats, QueueUnavailable


class FakeVoteQueue:
    """The vote queue in memory.

    `failing`: Redis is gone; `refusing`: it takes no votes; `losing_answers`: it goes after it took a push; `pushable`,
    cleared: Redis is away, and is waited for.
    """

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.rejected: list[dict[str, str]] = []
        self.counted = 0
        self.resets = 0
        self.pushes: list[int] = []
        self.failing = False
        self.refusing = False
        self.losing_answers = False
        self.problem = ""
        self.arrived = asyncio.Event()
        self.pushable = asyncio.Event()
        self.pushable.set()

    async def until_pushable(self) -> None:
        await self.pushable.wait()

    async def push(self, messages: Sequence[bytes], *, within: float = PUSH_TIMEOUT_SECONDS) -> int:
        await asyncio.sleep(0)
        if self.failing or self.refusing:
            raise NotPushed("Redis: told to fail")
        self.messages += messages
        self.pushes.append(len(messages))
        self.arrived.set()
        if self.losing_answers:
            raise QueueUnavailable("Redis: told to fail")
        return len(self.messages)

    async def waiting(self) -> int:
        await self._answer()
        return len(self.messages)

    async def peek(self, limit: int, *, behind: int = 0) -> Peek:
        await self._answer()
        return Peek(self.counted + behind, self.messages[behind:][:limit])

    async def is_at_head(self, peek: Peek) -> bool:
        await self._answer()
        return peek.position == self.counted

    async def settle(self, peek: Peek) -> bool:
        await self._answer()
        if peek.position != self.counted:
            return False
        self.messages = self.messages[len(peek.messages) :]
        self.counted += len(peek.messages)
        return True

    async def reject(self, rejected: Sequence[tuple[bytes, str]]) -> None:
        await self._answer()
        self.rejected += [json.loads(rejection_note(message, why, "")) for message, why in rejected]

    async def wait(self, timeout_seconds: int) -> bool:
        await self._answer()
        if not self.messages:
            self.arrived.clear()
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self.arrived.wait()
            except TimeoutError:
                return False
        return True

    async def drop_all(self) -> int:
        await self._answer()
        dropped, self.messages, self.rejected = len(self.messages), [], []
        self.counted += dropped
        self.resets += 1
        return dropped

    async def poll(self) -> str:
        await self._answer()
        return str(self.resets)

    async def stats(self) -> QueueStats:
        await self._answer()
        last = [Rejection(note["message"], note["reason"], "") for note in self.rejected[-LAST_REJECTED:]]
        oldest = cast_time([message[:MESSAGE_BYTES] for message in self.messages[:1]])
        return QueueStats(len(self.messages), self.counted, oldest, len(self.rejected), tuple(last))

    async def check_writable(self) -> None:
        await self._answer()
        if self.refusing:
            raise QueueUnavailable("Redis takes no votes: told to refuse")

    async def ping(self) -> None:
        await self._answer()

    async def rejected_messages(self) -> list[dict[str, str]]:
        return self.rejected

    async def _answer(self) -> None:
        await asyncio.sleep(0)  # as over a network: others run meanwhile
        if self.failing:
            raise QueueUnavailable("Redis: told to fail")


def message(voter_id: str, option: str, **more: object) -> bytes:
    """A queue message as any program may write it."""
    return json.dumps({"voter_id": voter_id, "vote": option} | more).encode()

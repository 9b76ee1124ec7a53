"""Votes that arrive while a push is under way go to the queue together in the next one.

So the round trip to Redis, and its fsync, is shared; each voter still waits for the answer that covers its own vote.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from common.vote_queue import QueueUnavailable

log = structlog.get_logger()


class Queue(Protocol):
    async def push(self, messages: Sequence[bytes]) -> int: ...


class VotePusher:
    """Pushes votes; `run` must be running."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._arrived = asyncio.Event()
        self._failing = False

    async def push(self, message: bytes, *, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Return once the queue has the vote; raises QueueUnavailable when it is not known to have it."""
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((message, accepted))
        self._arrived.set()
        await accepted

    async def run(self) -> None:
        """Push what has arrived, again and again."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            # a voter who has gone away meanwhile has not been promised anything
            batch = [(message, accepted) for message, accepted in self._take() if not accepted.done()]
            if batch:
                await self._push_together(batch)

    async def _push_together(self, batch: list[tuple[bytes, asyncio.Future[None]]]) -> None:
        try:
            await self._queue.push([message for message, _ in batch])
        except QueueUnavailable as error:
            self._note(failing=True, reason=str(error))
            # those who arrived meanwhile are told as well: waiting for a second timeout would keep them too long
            for _, accepted in batch + self._take():
                if not accepted.done():
                    accepted.set_exception(error)
        else:
            self._note(failing=False)
            for _, accepted in batch:
                if not accepted.done():
                    accepted.set_result(None)

    def _take(self) -> list[tuple[bytes, asyncio.Future[None]]]:
        taken, self._waiting = self._waiting, []
        return taken

    def _note(self, *, failing: bool, reason: str = "") -> None:
        if failing and not self._failing:
            log.error("pushing_failed", reason=reason)
        elif self._failing and not failing:
            log.info("pushing_works_again")
        self._failing = failing

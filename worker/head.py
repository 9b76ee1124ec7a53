"""The head of the queue, batch by batch; what comes next is read while a batch is being recorded."""

from contextlib import suppress
from typing import Protocol

from common.vote_queue import Peek, QueueUnavailable
from worker.batch import Batch


class Queue(Protocol):
    async def peek(self, limit: int, *, behind: int = 0) -> Peek: ...
    async def is_at_head(self, peek: Peek) -> bool: ...


class Head:
    """Batches of up to `limit` messages."""

    def __init__(self, queue: Queue, limit: int) -> None:
        self._queue = queue
        self.limit = limit
        self._next: Batch | None = None

    async def batch(self) -> Batch:
        """What is at the head: the batch that was read ahead, unless somebody has emptied the queue since."""
        ahead, self._next = self._next, None
        if ahead is not None and await self._queue.is_at_head(ahead.peek):
            return ahead
        return Batch.of(await self._queue.peek(self.limit))

    async def read_behind(self, batch: Batch) -> None:
        """Read what comes after this batch, if it was a full one: after any other nothing waits, or hardly anything."""
        size = len(batch.peek.messages)
        if size < self.limit:
            return
        with suppress(QueueUnavailable):  # it is read when its turn has come
            peek = await self._queue.peek(self.limit, behind=size)
            if peek.messages:
                self._next = Batch.of(peek)

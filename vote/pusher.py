"""Votes that arrive while a push is under way go to the queue together in the next one.

So they share the round trip to Redis, and its fsync; each voter still waits for the answer that covers its own vote.
Just before the push, each sender is checked again: a vote that nobody waits for any more must not arrive late, after
another one that its voter has cast in the meantime.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from common.vote_queue import PUSH_TIMEOUT_SECONDS, NotPushed, QueueUnavailable

ANSWER_SECONDS = 2.0  # a voter is told within this time
WAIT_SECONDS = 1.5  # a vote that was not sent by then is not sent at all: its push would have too little time

log = structlog.get_logger()


class Queue(Protocol):
    @property
    def problem(self) -> str: ...

    async def until_pushable(self) -> None: ...

    async def push(self, messages: Sequence[bytes], *, within: float) -> int: ...


@dataclass(eq=False, slots=True)
class _Vote:
    message: bytes
    accepted: asyncio.Future[None]
    since: float  # on the event loop's clock
    is_wanted: Callable[[], bool]


class VotePusher:
    """Pushes votes; `run` must be running."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._waiting: dict[_Vote, None] = {}  # in order of arrival
        self._arrived = asyncio.Event()
        self._failing = False

    async def push(self, message: bytes, *, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Return once the queue has the vote; raises QueueUnavailable when that is not certain.

        Raises NotPushed when the queue certainly does not have it: Redis did not take it in time, or it was not sent,
        because the service was blocked or because `is_wanted`, called just before the push, returned False.
        """
        loop = asyncio.get_running_loop()
        vote = _Vote(message, loop.create_future(), loop.time(), is_wanted)
        self._waiting[vote] = None
        self._arrived.set()
        giving_up = loop.call_later(WAIT_SECONDS, self._give_up, vote)
        try:
            await vote.accepted
        finally:
            giving_up.cancel()
            self._waiting.pop(vote, None)

    async def run(self) -> None:
        """Push whatever has arrived, again and again."""
        while True:
            await self._arrived.wait()
            await self._queue.until_pushable()
            self._arrived.clear()
            if batch := self._take():
                await self._push_together(batch)

    async def _push_together(self, batch: Sequence[_Vote]) -> None:
        oldest = asyncio.get_running_loop().time() - batch[0].since
        try:
            within = min(PUSH_TIMEOUT_SECONDS, ANSWER_SECONDS - oldest)
            await self._queue.push([vote.message for vote in batch], within=within)
        except QueueUnavailable as error:
            self._note(failing=True, reason=str(error))
            for vote in batch:
                _refuse(vote, error)
        else:
            self._note(failing=False)
            for vote in batch:
                if not vote.accepted.done():
                    vote.accepted.set_result(None)

    def _take(self) -> Sequence[_Vote]:
        """The waiting votes that are still to be pushed."""
        taken, self._waiting = self._waiting, {}
        since = asyncio.get_running_loop().time() - WAIT_SECONDS
        batch = []
        for vote in taken:
            if vote.accepted.done():  # cancelled
                continue
            if vote.since <= since:  # the service was blocked: timers can be late
                self._refuse_late(vote)
            elif not vote.is_wanted():
                _refuse(vote, NotPushed("its sender has gone"))
            else:
                batch.append(vote)
        return batch

    def _give_up(self, vote: _Vote) -> None:
        if vote in self._waiting:
            self._refuse_late(vote)

    def _refuse_late(self, vote: _Vote) -> None:
        reason = self._queue.problem or f"it waited for {WAIT_SECONDS} s"
        self._note(failing=True, reason=reason)
        _refuse(vote, NotPushed(reason))

    def _note(self, *, failing: bool, reason: str = "") -> None:
        if failing and not self._failing:
            log.error("pushing_failed", reason=reason)
        elif self._failing and not failing:
            log.info("pushing_works_again")
        self._failing = failing


def _refuse(vote: _Vote, error: Exception) -> None:
    if not vote.accepted.done():
        vote.accepted.set_exception(error)

"""The poll that a vote belongs to: its question and options, and what is in the tally now.

A browser's cookie names the poll in which its choice was made. After another question, or when the tally was emptied,
the ballot no longer says that the vote is recorded.
"""

import asyncio
import hashlib
from contextlib import suppress
from typing import Protocol

from common.ballot import Ballot
from common.vote_queue import POLL_LOOK_SECONDS, QueueUnavailable


class Queue(Protocol):
    async def poll(self) -> str: ...


class Poll:
    """Names the poll; `watch` must be running."""

    def __init__(self, ballot: Ballot) -> None:
        text = repr((ballot.question, ballot.options))
        self._ballot = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]
        self._token = ""

    def name(self) -> str:
        """The same name as long as both are the same."""
        return f"{self._ballot}{self._token}"

    async def watch(self, queue: Queue) -> None:
        """Look again and again."""
        while True:
            with suppress(QueueUnavailable):  # nothing is emptied meanwhile
                await self.look(queue)
            await asyncio.sleep(POLL_LOOK_SECONDS)

    async def look(self, queue: Queue) -> None:
        """Look whether the tally was emptied."""
        self._token = await queue.poll()

"""Somebody who watches the tally, in place of an open dashboard."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypercorn.typing import ASGISendEvent

from result.viewers import Viewers


class Watcher:
    """Has what it was sent; while `is_slow`, what it is sent stays under way."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self._is_quick = asyncio.Event()
        self._is_quick.set()
        self._more = asyncio.Event()

    async def send(self, message: ASGISendEvent) -> None:
        """What the server calls."""
        await self._is_quick.wait()
        assert message["type"] == "websocket.send"
        self.seen.append(message["text"])
        self._more.set()

    async def until(self, count: int) -> list[Any]:
        """All it was sent, as soon as there are so many."""
        async with asyncio.timeout(10):
            while len(self.seen) < count:
                self._more.clear()
                await self._more.wait()
        return self.seen

    def become_slow(self) -> None:
        """From now on nothing arrives."""
        self._is_quick.clear()

    def become_quick(self) -> None:
        """What is under way arrives."""
        self._is_quick.set()


@contextmanager
def watching(viewers: Viewers) -> Iterator[Watcher]:
    """One who watches."""
    watcher = Watcher()
    with viewers.watching(watcher.send):
        yield watcher

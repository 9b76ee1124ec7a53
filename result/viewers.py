"""The viewers: each has one slot, which holds the newest snapshot; a slow viewer misses the ones between."""

import asyncio
from collections.abc import AsyncIterator

from prometheus_client import Gauge

VIEWERS = Gauge("viewers", "Open dashboards.")


class Viewers:
    """Gives every viewer the newest snapshot, as one text that is made once for all of them."""

    def __init__(self) -> None:
        self._newest: str | None = None
        self._closed = False
        self._wakes: set[asyncio.Event] = set()

    def show(self, snapshot: str) -> None:
        """Make this the newest snapshot."""
        self._newest = snapshot
        self._wake_all()

    def close(self) -> None:
        """Let every viewer's `watch` end."""
        self._closed = True
        self._wake_all()

    async def watch(self) -> AsyncIterator[str]:
        """The newest snapshot at once, and again whenever there is a newer one."""
        wake = asyncio.Event()
        wake.set()
        self._wakes.add(wake)
        VIEWERS.set(len(self._wakes))
        try:
            while True:
                await wake.wait()
                wake.clear()
                if self._closed:
                    return
                if self._newest is not None:
                    yield self._newest
        finally:
            self._wakes.discard(wake)
            VIEWERS.set(len(self._wakes))

    def _wake_all(self) -> None:
        for wake in self._wakes:
            wake.set()

"""The viewers: each has one slot, which holds the newest snapshot; a slow viewer misses the ones between."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from prometheus_client import Counter, Gauge

from result.news import News

VIEWERS = Gauge("viewers", "Open dashboards.")
SENT = Counter("snapshots_sent", "Snapshots that were sent, to all dashboards together.")
DROPPED = Counter("snapshots_dropped", "Snapshots that slow dashboards missed, because a newer one was there already.")


@dataclass(frozen=True, slots=True)
class _Shown:
    text: str
    news: News | None
    number: int


class Viewers:
    """Gives every viewer the newest snapshot, as one text that is made once for all of them."""

    def __init__(self) -> None:
        self._newest: _Shown | None = None
        self._closed = False
        self._wakes: set[asyncio.Event] = set()

    def show(self, snapshot: str, news: News | None = None) -> None:
        """Make this the newest snapshot; `news` is what it tells for the first time."""
        self._newest = _Shown(snapshot, news, self._newest.number + 1 if self._newest else 1)
        self._wake_all()

    def count(self) -> int:
        """How many watch."""
        return len(self._wakes)

    def close(self) -> None:
        """Let every viewer's `watch` end."""
        self._closed = True
        self._wake_all()

    async def watch(self) -> AsyncIterator[str]:
        """The newest snapshot at once, and again whenever there is a newer one."""
        wake = asyncio.Event()
        last: int | None = None
        wake.set()
        self._wakes.add(wake)
        VIEWERS.set(len(self._wakes))
        try:
            while True:
                await wake.wait()
                wake.clear()
                if self._closed:
                    return
                if (newest := self._newest) is None:
                    continue
                if last is not None and newest.number > last + 1:
                    DROPPED.inc(newest.number - last - 1)
                yield newest.text
                # the viewer comes back for the next one when this one was sent
                SENT.inc()
                if newest.news and last is not None:  # what was there before the viewer came is no news
                    newest.news.was_sent()
                last = newest.number
        finally:
            self._wakes.discard(wake)
            VIEWERS.set(len(self._wakes))

    def _wake_all(self) -> None:
        for wake in self._wakes:
            wake.set()

"""The viewers: each has one slot, which holds the newest snapshot; a slow viewer misses the ones between.

Nearly every snapshot is sent to every viewer without a wait. So one task goes from viewer to viewer, and only one who
is slow gets a task of its own, until it has caught up: waking a task for each took more time than the sending.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from hypercorn.typing import ASGISendCallable, WebsocketSendEvent
from prometheus_client import Counter, Gauge

from common.tasks import begin
from result.news import News

VIEWERS = Gauge("viewers", "Open dashboards.")
SENT = Counter("snapshots_sent", "Snapshots sent, over all dashboards.")
DROPPED = Counter("snapshots_dropped", "Snapshots that slow dashboards skipped, because a newer one was there.")

# When the service stops it lets viewers go one after the other, so that they don't all connect again at once.
LET_GO_PER_SECOND = 2000
LET_GO_WITHIN_SECONDS = 2.0

AT_A_TIME = 50  # viewers who are told before others in this process have their turn

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Shown:
    message: WebsocketSendEvent  # one for all viewers
    news: News | None
    number: int


class Viewers:
    """Sends every viewer the newest snapshot."""

    def __init__(self) -> None:
        self._is_closed = False
        self._newest: _Shown | None = None
        self._all: set[_Viewer] = set()
        self._round: asyncio.Task[None] | None = None

    def show(self, snapshot: str, news: News | None = None) -> None:
        """Make this the newest snapshot; `news` is what it tells for the first time."""
        number = self._newest.number + 1 if self._newest else 1
        self._newest = _Shown({"type": "websocket.send", "bytes": None, "text": snapshot}, news, number)
        if self._all and (self._round is None or self._round.done()):
            self._round = asyncio.create_task(self._tell_all())

    def count(self) -> int:
        """How many watch."""
        return len(self._all)

    async def close(self) -> None:
        """Let all go, one after the other."""
        self._is_closed = True
        viewers = list(self._all)
        pause = min(1 / LET_GO_PER_SECOND, LET_GO_WITHIN_SECONDS / (len(viewers) or 1))
        began = time.monotonic()
        for number, viewer in enumerate(viewers):
            await asyncio.sleep(began + number * pause - time.monotonic())
            viewer.let_go()

    @contextmanager
    def watching(self, send: ASGISendCallable) -> Iterator[asyncio.Future[None]]:
        """Within it somebody is sent the newest snapshot at once, and again whenever there is a newer one.

        The future is done when the viewer has to go.
        """
        viewer = _Viewer(send, lambda: self._newest)
        self._all.add(viewer)
        VIEWERS.set(len(self._all))
        viewer.tell()
        if self._is_closed:
            viewer.let_go()
        try:
            yield viewer.has_to_go
        finally:
            self._all.discard(viewer)
            VIEWERS.set(len(self._all))
            viewer.leave()

    async def _tell_all(self) -> None:
        told = None
        while told is not self._newest:
            told = self._newest
            for number, viewer in enumerate(list(self._all), start=1):
                viewer.tell()
                if number % AT_A_TIME == 0:
                    await asyncio.sleep(0)


class _Viewer:
    """Somebody who watches."""

    def __init__(self, send: ASGISendCallable, newest: Callable[[], _Shown | None]) -> None:
        self._send = send
        self._newest = newest
        self._last: int | None = None
        self._sending: asyncio.Task[None] | None = None  # what could not be sent without a wait
        self._has_left = False
        self.has_to_go: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def let_go(self) -> None:
        """Have it connect again, to another process."""
        if not self.has_to_go.done():
            self.has_to_go.set_result(None)

    def tell(self) -> None:
        """Send the newest snapshot, unless one is still being sent: that one is followed by the newest."""
        if not self._has_left and (self._sending is None or self._sending.done()):
            self._sending = begin(self._catch_up())

    def leave(self) -> None:
        """Send nothing any more."""
        self._has_left = True
        if self._sending is not None:
            self._sending.cancel()

    async def _catch_up(self) -> None:
        try:
            while (newest := self._newest()) and newest.number != self._last:
                await self._send(newest.message)
                self._was_sent(newest)
        except Exception:  # one viewer's trouble is none of the others'
            log.exception("viewer_failed")

    def _was_sent(self, shown: _Shown) -> None:
        SENT.inc()
        if self._last is not None:  # what was there before the viewer came is no news, and was not missed
            if missed := shown.number - self._last - 1:
                DROPPED.inc(missed)
            if shown.news:
                shown.news.was_sent()
        self._last = shown.number

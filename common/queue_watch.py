"""Watching the queue: its numbers for Prometheus and for whoever else asks, read once a second for all of them.

vote and worker both do it, so that the numbers are there while one of them is down.
"""

import asyncio
import math
from typing import Protocol

from prometheus_client import Gauge

from common.overview import Overview
from common.vote_queue import QueueUnavailable

WATCH_SECONDS = 1.0

VOTES_WAITING = Gauge("votes_waiting", "Accepted votes that are not yet counted; NaN while Redis can't be asked.")
OLDEST_SECONDS = Gauge(
    "votes_oldest_waiting_seconds",
    "How long the oldest waiting vote has waited, 0 when none waits; NaN when nobody can know.",
)
REJECTED_KEPT = Gauge("votes_rejected_kept", "Messages in votes:rejected, until somebody empties it.")


class Watched(Protocol):
    async def overview(self) -> Overview: ...


class QueueWatch:
    """The newest overview of the queue, None while Redis can't be asked; `run` must be running."""

    def __init__(self, queue: Watched) -> None:
        self.overview: Overview | None = None
        self._queue = queue

    async def run(self) -> None:
        """Look again and again."""
        while True:
            try:
                self.overview = await self._queue.overview()
            except QueueUnavailable:
                self.overview = None
            _show(self.overview)
            await asyncio.sleep(WATCH_SECONDS)


def _show(overview: Overview | None) -> None:
    # an old number would be believed
    VOTES_WAITING.set(overview.waiting if overview else math.nan)
    REJECTED_KEPT.set(overview.rejected if overview else math.nan)
    age = overview.oldest_seconds() if overview else None
    OLDEST_SECONDS.set(math.nan if age is None else age)

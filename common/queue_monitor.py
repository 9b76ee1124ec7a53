"""Monitoring the queue: its numbers, read once a second for Prometheus and for whoever else in the service needs them.

Both vote and worker do it, so that the numbers are there while one of them is down.
"""

import asyncio
import math
from typing import Protocol

from prometheus_client import Gauge

from common.vote_queue import QueueStats, QueueUnavailable

MONITOR_SECONDS = 1.0

VOTES_WAITING = Gauge("votes_waiting", "Accepted votes not yet counted; NaN while Redis can't be reached.")
OLDEST_SECONDS = Gauge(
    "votes_oldest_waiting_seconds",
    "Age of the oldest waiting vote in seconds; 0 when none waits, NaN when unknown.",
)
REJECTED_KEPT = Gauge("votes_rejected_kept", "Messages in votes:rejected, until somebody empties it.")


class MonitoredQueue(Protocol):
    async def stats(self) -> QueueStats: ...


class QueueMonitor:
    """The queue's newest statistics, None while Redis can't be asked; `run` must be running."""

    def __init__(self, queue: MonitoredQueue) -> None:
        self.stats: QueueStats | None = None
        self._queue = queue

    async def run(self) -> None:
        """Read them again and again."""
        while True:
            try:
                self.stats = await self._queue.stats()
            except QueueUnavailable:
                self.stats = None
            _publish(self.stats)
            await asyncio.sleep(MONITOR_SECONDS)

    def counting_is_delayed(self) -> bool:
        """Whether counting is known to be delayed."""
        return self.stats is not None and self.stats.is_delayed()


def _publish(stats: QueueStats | None) -> None:
    # NaN rather than the last number, which would look current
    VOTES_WAITING.set(stats.waiting if stats else math.nan)
    REJECTED_KEPT.set(stats.rejected if stats else math.nan)
    age = stats.oldest_seconds() if stats else None
    OLDEST_SECONDS.set(math.nan if age is None else age)

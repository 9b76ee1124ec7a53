"""How late the event loop is: whatever holds it up, everybody who is served by this process waits for as long."""

import asyncio
import time

from prometheus_client import Histogram

LOOK_SECONDS = 0.25

LAG_SECONDS = Histogram(
    "event_loop_lag_seconds",
    "How much later than asked the event loop woke a task, four times a second.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)


async def watch_lag() -> None:
    """Measure again and again."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(LOOK_SECONDS)
        LAG_SECONDS.observe(max(0.0, time.perf_counter() - before - LOOK_SECONDS))

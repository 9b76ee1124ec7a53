"""The queue's numbers are published while they are current."""

import asyncio
import math
import time

import pytest
from prometheus_client import REGISTRY

from common import queue_monitor
from common.queue_monitor import QueueMonitor
from tests.fakes import FakeVoteQueue, message
from tests.waiting import eventually_async


def value(name: str) -> float:
    found = REGISTRY.get_sample_value(name)
    assert found is not None
    return found


async def test_the_queue_is_monitored_and_no_old_number_is_shown_when_redis_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue_monitor, "MONITOR_SECONDS", 0.01)
    queue = FakeVoteQueue()
    await queue.push([message("v", "a", cast_at=time.time() - 60), message("w", "a")])
    monitor = QueueMonitor(queue)

    async def two_wait() -> bool:
        return value("votes_waiting") == 2

    async def unknown() -> bool:
        return math.isnan(value("votes_waiting"))

    task = asyncio.create_task(monitor.run())
    try:
        await eventually_async(two_wait, within=20)
        assert 60 <= value("votes_oldest_waiting_seconds") < 90
        assert monitor.stats is not None
        queue.failing = True
        await eventually_async(unknown, within=20)
        assert math.isnan(value("votes_oldest_waiting_seconds"))
        assert monitor.stats is None
    finally:
        task.cancel()

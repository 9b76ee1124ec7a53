"""A service measures its event loop's lag, and its requests by method."""

import asyncio
import time

import pytest
from prometheus_client import REGISTRY
from quart import Quart

from common import health
from common.health import count_requests, measure_event_loop_lag
from tests.waiting import eventually_async


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_a_blocked_event_loop_shows_as_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LAG_INTERVAL_SECONDS", 0.01)
    before = value("event_loop_lag_seconds_sum")
    asyncio.get_running_loop().call_later(0.005, busy, 0.3)

    async def shows() -> bool:
        return value("event_loop_lag_seconds_sum") - before >= 0.2

    task = asyncio.create_task(measure_event_loop_lag())
    try:
        await eventually_async(shows, within=20)
    finally:
        task.cancel()


def busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


async def test_a_method_that_nobody_knows_makes_no_label_of_its_own() -> None:
    """Anybody can send any word as a method, a new one with each request."""
    app = Quart(__name__)
    count_requests(app)
    before = value("http_requests_total", method="other", route="unknown", status="404")
    for number in range(3):
        await app.test_client().open("/nowhere", method=f"MADE-UP-{number}", json=None)

    assert value("http_requests_total", method="other", route="unknown", status="404") - before == 3
    assert "MADE-UP" not in str(list(REGISTRY.collect()))

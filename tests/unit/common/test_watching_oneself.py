"""What a service tells about itself: its event loop, its servers, its requests."""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine

import pytest
from prometheus_client import REGISTRY
from quart import Quart

from common import lag, queue_watch
from common.ops import count_requests
from common.queue_watch import QueueWatch
from common.reachable import Reachable
from tests.fakes import FakeVoteQueue, message
from tests.waiting import eventually_async


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(queue_watch, "WATCH_SECONDS", 0.01)


async def until(condition: Callable[[], bool], running: Coroutine[None, None, None]) -> None:
    """Run a loop until the condition holds."""

    async def holds() -> bool:
        return condition()

    task = asyncio.create_task(running)
    try:
        await eventually_async(holds, within=20)
    finally:
        task.cancel()


@pytest.mark.usefixtures("quick")
async def test_an_event_loop_that_is_held_up_shows_as_lag() -> None:
    before = value("event_loop_lag_seconds_sum")
    asyncio.get_running_loop().call_later(0.005, busy, 0.3)

    await until(lambda: value("event_loop_lag_seconds_sum") - before >= 0.2, lag.watch_lag())


def busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_a_server_that_comes_back_is_one_reconnect() -> None:
    server = Reachable("one of a test")
    server.answers()
    for _ in range(3):
        server.is_lost()
    server.answers()
    server.answers()

    assert value("reconnects_total", server="one of a test") == 1


def test_a_server_that_a_service_had_to_wait_for_at_its_start_is_no_reconnect() -> None:
    server = Reachable("another of a test")
    server.is_lost()
    server.answers()

    assert value("reconnects_total", server="another of a test") == 0


@pytest.mark.usefixtures("quick")
async def test_the_queue_is_watched_and_no_old_number_is_shown_when_redis_is_gone() -> None:
    queue = FakeVoteQueue()
    await queue.push([message("v", "a", cast_at=time.time() - 60), message("w", "a")])
    watch = QueueWatch(queue)

    await until(lambda: value("votes_waiting") == 2, watch.run())
    assert 60 <= value("votes_oldest_waiting_seconds") < 90
    assert watch.overview is not None
    queue.failing = True
    await until(lambda: math.isnan(value("votes_waiting")), watch.run())
    assert math.isnan(value("votes_oldest_waiting_seconds"))
    assert watch.overview is None


async def test_a_method_that_nobody_knows_makes_no_label_of_its_own() -> None:
    """Anybody can send any word as a method, a new one with each request."""
    app = Quart(__name__)
    count_requests(app)
    before = value("http_requests_total", method="other", route="unknown", status="404")
    for number in range(3):
        await app.test_client().open("/nowhere", method=f"MADE-UP-{number}", json=None)

    assert value("http_requests_total", method="other", route="unknown", status="404") - before == 3
    assert "MADE-UP" not in str(list(REGISTRY.collect()))

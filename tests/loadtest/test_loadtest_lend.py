"""Workers that outlive their master, and end when they are stopped."""

import asyncio
import os
import signal
from contextlib import suppress

import psutil  # type: ignore[import-untyped]
import pytest

from tests.loadtest.conftest import SIZE, LoadTest
from tests.loadtest.pages import until_there
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(120)


async def test_a_worker_outlives_its_master_and_works_for_the_next(
    loadtest: LoadTest, page_settings: dict[str, str]
) -> None:
    """It comes before the first one, is told by it to end, and is left alone by the second, which is killed."""
    worker = await loadtest.start("worker", **page_settings)
    first = await loadtest.start("master", **page_settings)
    await until_there(page_settings, workers=1)
    first.send_signal(signal.SIGINT)
    await loadtest.end(first)
    second = await loadtest.start("master", **page_settings)
    await until_there(page_settings, workers=1)
    second.kill()
    await second.wait()
    third = await loadtest.start("master", **page_settings)
    await until_there(page_settings, workers=1)
    outcome = await loadtest.run("start", **SIZE, **page_settings)
    worker.send_signal(signal.SIGTERM)
    third.send_signal(signal.SIGTERM)
    ended = await loadtest.end(worker)

    assert outcome.code == 0, outcome.output
    assert "every vote was found" in outcome.output
    assert ended.code == 0, ended.output
    assert "Traceback" not in ended.output


async def test_nothing_is_left_running_when_a_worker_without_a_master_is_stopped(
    loadtest: LoadTest, page_settings: dict[str, str]
) -> None:
    worker = await loadtest.start("worker", **page_settings)
    assert worker.stdout is not None
    line = await asyncio.wait_for(worker.stdout.readline(), 20)
    worker.send_signal(signal.SIGINT)
    ended = await loadtest.end(worker)

    assert b"waiting for the master at 127.0.0.1" in line
    assert ended.code == 0


async def test_a_worker_that_is_stopped_from_all_sides_ends_without_a_word(
    loadtest: LoadTest, page_settings: dict[str, str]
) -> None:
    """Whoever stops a terminal or a project stops master and worker at once, and Locust again while it shuts down."""
    worker = await loadtest.start("worker", **page_settings)
    master = await loadtest.start("master", **page_settings)
    await until_there(page_settings, workers=1)
    (locust,) = psutil.Process(worker.pid).children()

    def stopped() -> bool:
        with suppress(ProcessLookupError):
            for _ in range(100):
                os.kill(locust.pid, signal.SIGTERM)
        return not locust.is_running() or locust.status() == psutil.STATUS_ZOMBIE

    await asyncio.to_thread(eventually, stopped, within=30)
    worker.send_signal(signal.SIGTERM)
    master.send_signal(signal.SIGTERM)
    ended = await loadtest.end(worker)

    assert ended.code == 0, ended.output
    assert "Traceback" not in ended.output

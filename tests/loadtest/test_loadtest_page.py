"""Locust's page as a user starts it, with the buttons pressed from outside; its workers; and the drill under load."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from tests.loadtest.conftest import SIZE, LoadTest
from tests.loadtest.slow_proxy import slow_proxy
from tests.system import System
from tests.waiting import eventually, eventually_async

pytestmark = pytest.mark.timeout(300)


async def test_a_test_is_started_followed_and_judged_from_outside(
    loadtest: LoadTest, page_settings: dict[str, str]
) -> None:
    page = await loadtest.start("ui", **page_settings)
    await loadtest.until(page_settings)
    first = await loadtest.run("start", **SIZE, **page_settings)
    second = await loadtest.run("start", **SIZE, **page_settings, SHAPE="double-wave")
    compared = await loadtest.run("compare")
    loadtest.limits(vote_ms=0)
    third = await loadtest.run("start", **SIZE, **page_settings)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{page_settings['LOADTEST_PORT']}", timeout=5) as client:
        html = (await client.get("/")).text
        stats = (await client.get("/stats/requests")).json()
    page.send_signal(signal.SIGINT)
    ended = await loadtest.end(page)

    assert (first.code, second.code) == (0, 0), first.output + second.output
    assert "every vote was found" in first.output
    assert "PASSED" in first.output
    assert "started: double-wave" in second.output
    assert compared.code in (0, 1)  # which of the two was quicker is chance
    assert "vote_to_screen_p99_ms" in compared.output
    assert third.code == 1
    assert "BROKEN  vote_p95_ms" in third.output
    assert len(list(loadtest.data.glob("loadtest/2*/result.json"))) == 3
    assert "tallyho-line" in html
    assert '"title": "Audit"' in html
    assert {"checked": "the audit", "found": "every vote was found"} in stats["extended_stats"][0]["data"]
    assert ended.code == 1  # as its last test
    assert "Traceback" not in ended.output


async def test_finding_the_limit_says_at_its_start_how_long_it_takes(
    loadtest: LoadTest, page_settings: dict[str, str]
) -> None:
    process = await loadtest.start("headless", SHAPE="find-the-limit", **page_settings)
    assert process.stdout is not None
    first = await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    await loadtest.end(process)

    assert first.decode() == "find-the-limit takes about 3 minutes, until a limit breaks\n"


async def test_a_running_test_is_not_started_twice_and_can_be_stopped(
    loadtest: LoadTest, page_settings: dict[str, str]
) -> None:
    page = await loadtest.start("ui", **page_settings)
    await loadtest.until(page_settings)
    idle = await loadtest.run("stop", **page_settings)
    long = await loadtest.start("start", **{**SIZE, "RUN_TIME": "10m"}, **page_settings)

    async def has_begun() -> bool:
        return (await loadtest.status(page_settings))["run"] is not None

    await eventually_async(has_begun, within=60)
    twice = await loadtest.run("start", **SIZE, **page_settings)
    stopped = await loadtest.run("stop", **page_settings)
    followed = await loadtest.end(long)
    page.send_signal(signal.SIGINT)
    await loadtest.end(page)

    assert (idle.code, idle.output.strip()) == (0, "no test is running")
    assert twice.code == 1
    assert "a test is running" in twice.output
    assert stopped.code == 0, stopped.output
    assert "Audit: every vote was found" in followed.output


async def test_without_a_page_of_ours_start_says_how_to_get_one(
    loadtest: LoadTest, page_settings: dict[str, str]
) -> None:
    none = await loadtest.run("start", **SIZE, **page_settings)
    foreign = await loadtest.run("start", **SIZE, **page_settings, LOADTEST_URL=page_settings["VOTE_URL"])

    assert (none.code, foreign.code) == (1, 1)
    assert "make loadtest starts it" in none.output
    assert len(none.output.splitlines()) == 1
    assert "is not tallyho's load test" in foreign.output


@pytest.mark.parametrize("shape", ["", "double-wave"])
async def test_a_test_has_all_its_time_even_if_reading_the_baseline_took_longer(
    loadtest: LoadTest, page_settings: dict[str, str], system: System, shape: str
) -> None:
    """The page starts the test by itself, because it is told how many users come and for how long."""
    size = {"USERS": "2", "SPAWN_RATE": "2", "RUN_TIME": "1s", "SHAPE": shape}
    async with slow_proxy(urlsplit(system.facts().result_url).port or 80, seconds=2.0) as slow:
        settings = page_settings | {"RESULT_URL": slow, "REDIS_URL": "", "DATABASE_URL": ""}
        page = await loadtest.start("ui", **settings, **size)
        await loadtest.until(settings, ok=True)
        page.send_signal(signal.SIGINT)
        outcome = await loadtest.end(page)
    assert outcome.code == 0, outcome.output
    assert "no vote was accepted" not in outcome.output
    assert "every vote was found" in outcome.output


async def test_a_worker_outlives_its_master_and_works_for_the_next(
    loadtest: LoadTest, page_settings: dict[str, str]
) -> None:
    """It comes before the first one, is dismissed by it, and is left alone by the second, which is killed."""
    worker = await loadtest.start("worker", **page_settings)
    first = await loadtest.start("master", **page_settings)
    await loadtest.until(page_settings, workers=1)
    first.send_signal(signal.SIGINT)
    await loadtest.end(first)
    second = await loadtest.start("master", **page_settings)
    await loadtest.until(page_settings, workers=1)
    second.kill()
    await second.wait()
    third = await loadtest.start("master", **page_settings)
    await loadtest.until(page_settings, workers=1)
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
    line = await asyncio.wait_for(worker.stdout.readline(), 60)
    worker.send_signal(signal.SIGINT)
    ended = await loadtest.end(worker)

    assert b"waiting for the master at 127.0.0.1" in line
    assert ended.code == 0


async def test_a_worker_that_is_stopped_from_all_sides_ends_without_a_traceback(
    loadtest: LoadTest, page_settings: dict[str, str]
) -> None:
    """A terminal or a Compose project stops master and worker at once, and Locust again while it shuts down."""
    worker = await loadtest.start("worker", **page_settings)
    master = await loadtest.start("master", **page_settings)
    await loadtest.until(page_settings, workers=1)
    (locust,) = psutil.Process(worker.pid).children()

    def stopped() -> bool:
        with suppress(ProcessLookupError):
            for _ in range(100):
                os.kill(locust.pid, signal.SIGTERM)
        return not locust.is_running() or locust.status() == psutil.STATUS_ZOMBIE

    await asyncio.to_thread(eventually, stopped, within=60)
    worker.send_signal(signal.SIGTERM)
    master.send_signal(signal.SIGTERM)
    ended = await loadtest.end(worker)

    assert ended.code == 0, ended.output
    assert "Traceback" not in ended.output


async def test_a_drill_under_load_finds_every_vote(loadtest: LoadTest, system: System) -> None:
    """It finds what runs here by itself."""
    loadtest.data = Path(system.data)
    outcome = await loadtest.run("drill", VICTIMS="worker redis", CALM_SECONDS="2", FIRST_SECONDS="2", USERS="12")

    assert outcome.code == 0, outcome.output
    assert "every vote was found" in outcome.output
    assert outcome.folder is not None
    assert (outcome.folder / "outages.json").exists()

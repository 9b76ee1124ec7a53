"""Locust's page with our tab and chart, and the drill, against the whole system as a user starts it."""

import asyncio
import signal
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.loadtest.conftest import LoadTest
from tests.loadtest.slow_proxy import slow_proxy
from tests.ports import free_port
from tests.system import System
from tests.waiting import eventually_async

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def here(loadtest: LoadTest, system: System) -> LoadTest:
    """A load test that finds what runs here by itself."""
    loadtest.data = Path(system.data)
    return loadtest


async def test_the_page_shows_the_audit_and_the_chart(here: LoadTest) -> None:
    port = free_port()
    size = {"USERS": "8", "SPAWN_RATE": "8", "RUN_TIME": "3s"}
    process = await here.start("ui", LOADTEST_PORT=str(port), **size)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:

            async def audited() -> bool:
                return ["the audit", "every vote was found", False] in (await client.get("/run.json")).json()["audit"]

            await eventually_async(audited, within=60, despite=(httpx.HTTPError,))
            page = (await client.get("/")).text
            chart = (await client.get("/vote-to-screen.svg")).text
            files = [await client.get(path) for path in ("/page.js", "/page.css")]
    finally:
        process.send_signal(signal.SIGINT)
        outcome = await here.end(process)

    assert "page.js" in page
    assert "page.css" in page
    assert "Audit" in page
    assert chart.count("<polyline") == 3
    assert [file.status_code for file in files] == [200, 200]
    assert outcome.code == 0, outcome.output
    assert "Traceback" not in outcome.output


async def test_a_drill_under_load_finds_every_vote(here: LoadTest) -> None:
    outcome = await here.run("drill", VICTIMS="worker redis", CALM_SECONDS="5", FIRST_SECONDS="2", USERS="12")

    assert outcome.code == 0, outcome.output
    assert "every vote was found" in outcome.output
    assert outcome.folder is not None
    assert (outcome.folder / "outages.json").exists()


@pytest.mark.parametrize("shape", ["", "double-wave"])
async def test_a_test_has_all_its_time_also_if_looking_at_the_system_took_longer(
    loadtest: LoadTest, system: System, shape: str
) -> None:
    port = free_port()
    size = {"USERS": "2", "SPAWN_RATE": "2", "RUN_TIME": "1s", "SHAPE": shape}
    async with slow_proxy(urlsplit(system.facts().result_url).port or 80, seconds=2.0) as slow:
        where = {"VOTE_URL": system.facts().vote_url, "RESULT_URL": slow, "LOADTEST_PORT": str(port)}
        process = await loadtest.start("ui", **where, **size)

        async def ended() -> bool:
            async with httpx.AsyncClient(timeout=5) as client:
                now = (await client.get(f"http://127.0.0.1:{port}/run.json")).json()
                return bool(now["words"])

        await eventually_async(ended, within=60, despite=(httpx.HTTPError,))
        process.send_signal(signal.SIGINT)
        outcome = await loadtest.end(process)
    assert "no vote was accepted" not in outcome.output
    assert "every vote was found" in outcome.output


async def test_two_runs_are_set_side_by_side(here: LoadTest) -> None:
    """The page's test and the drill have left their runs."""
    outcome = await here.run("compare")

    assert outcome.code == any(line.endswith("WORSE") for line in outcome.output.splitlines())
    assert "vote_to_screen_p99_ms" in outcome.output


async def test_a_master_audits_the_votes_of_its_workers(here: LoadTest) -> None:
    port, between = str(free_port()), {"MASTER_PORT": str(free_port())}
    size = {"USERS": "8", "SPAWN_RATE": "8", "RUN_TIME": "3s"}
    master = await here.start("master", LOADTEST_PORT=port, **between, **size)
    worker = await here.start("worker", MASTER="127.0.0.1", **between)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:

            async def audited() -> bool:
                return ["the audit", "every vote was found", False] in (await client.get("/run.json")).json()["audit"]

            await eventually_async(audited, within=60, despite=(httpx.HTTPError,))
    finally:
        master.send_signal(signal.SIGINT)
        outcome = await here.end(master)
        worker.send_signal(signal.SIGINT)
        await asyncio.wait_for(here.end(worker), 30)

    assert outcome.code == 0, outcome.output

"""The load test as a user starts it, in a process of its own: Locust changes the process that imports it for good."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.conftest import database, empty_database, postgres, redis
from tests.ports import free_port
from tests.system import PROJECT, System, running_system
from tests.waiting import eventually_async

__all__ = ["database", "empty_database", "postgres", "redis"]

LIMITS = """
[weights]
Voter = 6
ApiVoter = 6
Viewer = 2
Abuser = 2
[people]
think_seconds = {think}
changes_mind = 0.4
votes_twice_at_once = 0.02
votes_per_source = 10
[limits]
error_rate = 0.001
vote_p95_ms = {vote_ms}
vote_p99_ms = {vote_ms}
vote_to_screen_p99_ms = 20000
[find_limit]
first_users = 10
growth = 2
settle_seconds = 1
measure_seconds = 2
[audit]
drain_seconds = 40
dashboard_seconds = 20
"""
SIZE = {"USERS": "8", "SPAWN_RATE": "8", "RUN_TIME": "3s"}  # of a run that says something and is soon over
END_SECONDS = 200.0


@dataclass
class Outcome:
    """How a load test ended."""

    code: int
    output: str
    folder: Path | None
    result: dict[str, Any]


class LoadTest:
    """Starts load tests with a folder of their own, and limits that a busy machine keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._started: list[asyncio.subprocess.Process] = []

    def limits(self, *, think: str = "[0.1, 0.5]", vote_ms: int = 15_000) -> None:
        (self.folder / "limits.toml").write_text(LIMITS.format(think=think, vote_ms=vote_ms))

    async def start(self, *command: str, **settings: str) -> asyncio.subprocess.Process:
        if not (self.folder / "limits.toml").exists():
            self.limits()
        kept = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
        own = {"DATA_DIR": str(self.data), "LIMITS": str(self.folder / "limits.toml")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "loadtest", *command),
            cwd=PROJECT,
            env=kept | own | settings,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._started.append(process)
        return process

    async def status(self, settings: dict[str, str]) -> dict[str, Any]:
        """What the page says of its newest run."""
        async with httpx.AsyncClient(timeout=5) as client:
            now: dict[str, Any] = (await client.get(f"http://127.0.0.1:{settings['LOADTEST_PORT']}/run.json")).json()
            return now

    async def until(self, settings: dict[str, str], **expected: object) -> None:
        """Wait until the page says so; with nothing expected, until it is up."""

        async def is_so() -> bool:
            return expected.items() <= (await self.status(settings)).items()

        await eventually_async(is_so, within=60, despite=(httpx.HTTPError,))

    async def end(self, process: asyncio.subprocess.Process) -> Outcome:
        async with asyncio.timeout(END_SECONDS):
            output, _ = await process.communicate()
        folders = sorted((self.data / "loadtest").glob("2*/result.json"))
        result = json.loads(folders[-1].read_text()) if folders else {}
        assert process.returncode is not None
        return Outcome(process.returncode, output.decode(), folders[-1].parent if folders else None, result)

    async def run(self, *command: str, **settings: str) -> Outcome:
        """Start one, and wait for its end."""
        return await self.end(await self.start(*command, **settings))

    async def kill_all(self) -> None:
        """End what a failed test left."""
        for process in self._started:
            if process.returncode is None:
                process.terminate()  # a worker has processes of its own, which it ends then
                try:
                    await asyncio.wait_for(process.wait(), 10)
                except TimeoutError:
                    process.kill()
                    await process.wait()


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The whole system, for all load tests that leave it unchanged."""
    with running_system(tmp_path_factory.mktemp("system"), {}) as system:
        yield system


@pytest.fixture
def settings(system: System) -> dict[str, str]:
    """Where the whole system is."""
    facts = system.facts()
    return {
        "VOTE_URL": facts.vote_url,
        "RESULT_URL": facts.result_url,
        "REDIS_URL": facts.redis_url,
        "DATABASE_URL": facts.database_url,
    }


@pytest.fixture
def page_settings(settings: dict[str, str]) -> dict[str, str]:
    """The same, and a page of our own."""
    return settings | {"LOADTEST_PORT": str(free_port()), "MASTER_PORT": str(free_port())}


@pytest.fixture
async def loadtest(tmp_path: Path) -> AsyncIterator[LoadTest]:
    loadtest = LoadTest(tmp_path)
    yield loadtest
    await loadtest.kill_all()

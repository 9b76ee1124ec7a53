"""The load test against real services: it passes them, and catches those that lose, double, revert, or are slow."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from local import servers
from tests.loadtest.conftest import LoadTest
from tests.loadtest.saboteur import Saboteur
from tests.loadtest.slow_proxy import slow_proxy
from tests.services import Service, free_port, service
from tests.waiting import eventually_async

pytestmark = pytest.mark.timeout(120)


@dataclass
class Parts:
    """A system whose vote service and worker may have queues of their own."""

    vote: Service
    worker: Service
    result: Service
    redis_url: str  # the worker's
    database_url: str

    def settings(self) -> dict[str, str]:
        return {
            "VOTE_URL": self.vote.url,
            "RESULT_URL": self.result.url,
            "REDIS_URL": self.redis_url,
            "DATABASE_URL": self.database_url,
        }


def queue_url(redis: servers.Server, number: int) -> str:
    """The address of one of Redis' databases."""
    return f"{redis.url}?db={number}" if redis.url.startswith("unix") else f"{redis.url.rstrip('/')}/{number}"


@pytest.fixture
async def empty_queues(redis: servers.Server) -> None:
    async with Redis.from_url(redis.url) as client:
        await client.flushall()


def start(redis: servers.Server, database: str, *, apart: bool) -> Iterator[Parts]:
    urls = [queue_url(redis, 1), queue_url(redis, 2 if apart else 1)]
    with ExitStack() as stack:
        vote, worker, result = (
            stack.enter_context(service(name, redis_url=url, database_url=database))
            for name, url in (("vote", urls[0]), ("worker", urls[1]), ("result", urls[0]))
        )
        for part in (vote, worker, result):
            part.until_ready()
        yield Parts(vote, worker, result, redis_url=urls[1], database_url=database)


@pytest.fixture
def system(empty_queues: None, redis: servers.Server, database: str) -> Iterator[Parts]:
    yield from start(redis, database, apart=False)


@pytest.fixture
def parted_system(empty_queues: None, redis: servers.Server, database: str) -> Iterator[Parts]:
    yield from start(redis, database, apart=True)


async def test_a_small_run_passes_and_leaves_its_files(loadtest: LoadTest, system: Parts) -> None:
    outcome = await loadtest.run("headless", USERS="10", SPAWN_RATE="10", RUN_TIME="5s", **system.settings())

    assert outcome.code == 0, outcome.output
    assert "PASSED" in outcome.output
    assert "vote to screen" in outcome.output
    audit = outcome.result["audit"]
    assert (audit["lost"], audit["doubled"], audit["reverted"]) == (0, 0, 0)
    assert audit["confirmed"] > 0
    assert audit["notes"] == []
    assert outcome.folder is not None
    files = {path.name for path in outcome.folder.iterdir()}
    assert files >= {"report.html", "requests.csv", "failures.csv", "result.json", "audit.json", "ledger-local.jsonl"}
    names = {row["name"] for row in outcome.result["table"]}
    assert names >= {"POST / (vote)", "POST /api/votes", "WS vote to screen", "WS own vote to screen"}
    assert all(row["failures"] == 0 for row in outcome.result["table"])


async def test_a_run_on_several_processes_audits_all_their_ledgers(loadtest: LoadTest, system: Parts) -> None:
    size = {"USERS": "8", "SPAWN_RATE": "8", "RUN_TIME": "5s", "PROCESSES": "2"}
    outcome = await loadtest.run("headless", **size, **system.settings())

    assert outcome.code == 0, outcome.output
    assert outcome.folder is not None
    assert len(list(outcome.folder.glob("ledger-*.jsonl"))) == 2
    assert outcome.result["audit"]["confirmed"] > 0
    assert not list((loadtest.data / "loadtest" / "workers").iterdir())


async def test_the_open_model_sends_what_it_was_asked_for(loadtest: LoadTest, system: Parts) -> None:
    size = {"MODEL": "open", "USERS": "5", "SPAWN_RATE": "5", "RUN_TIME": "5s"}
    outcome = await loadtest.run("headless", **size, **system.settings())

    assert outcome.code == 0, outcome.output
    assert any("from when it was due" in row["name"] for row in outcome.result["table"])
    assert outcome.result["votes"] > 50


async def test_one_lost_one_doubled_and_one_reverted_vote_are_caught(loadtest: LoadTest, parted_system: Parts) -> None:
    """About one of each in a thousand votes, by somebody who stands between the vote service and the worker."""
    loadtest.limits(think="[0.02, 0.1]")
    async with (
        Redis.from_url(vote_queue(parted_system)) as source,
        Redis.from_url(parted_system.redis_url) as target,
    ):
        saboteur = Saboteur(source, target, begin=200, every=100)
        passing = asyncio.create_task(saboteur.run())
        try:
            size = {"USERS": "16", "SPAWN_RATE": "16", "RUN_TIME": "8s"}
            outcome = await loadtest.run("headless", **size, **parted_system.settings())
        finally:
            passing.cancel()

    assert saboteur.done == {"lost": 1, "doubled": 1, "reverted": 1}, f"only {saboteur.passed} votes"
    assert outcome.code == 1, outcome.output
    audit = outcome.result["audit"]
    assert (audit["lost"], audit["doubled"], audit["reverted"]) == (1, 1, 1), json.dumps(audit, indent=1)
    assert "FAILED" in outcome.output


async def test_a_slow_system_breaks_its_limits(loadtest: LoadTest, system: Parts) -> None:
    loadtest.limits(vote_ms=100)
    async with slow_proxy(urlsplit(system.vote.url).port or 80, seconds=0.3) as url:
        size = {"USERS": "6", "SPAWN_RATE": "6", "RUN_TIME": "5s"}
        outcome = await loadtest.run("headless", **size, **{**system.settings(), "VOTE_URL": url})

    assert outcome.code == 1, outcome.output
    assert outcome.result["audit"]["ok"]
    assert "BROKEN  vote_p95_ms" in outcome.output


async def test_a_dead_system_ends_with_a_clear_line(loadtest: LoadTest) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    outcome = await loadtest.run("headless", VOTE_URL=nobody, RESULT_URL=nobody)

    assert outcome.code == 1
    assert "make up starts the system" in outcome.output
    assert len(outcome.output.splitlines()) == 1


async def test_where_nothing_runs_it_says_how_to_start_it(loadtest: LoadTest) -> None:
    outcome = await loadtest.run("headless")

    assert outcome.code == 1
    assert "make up" in outcome.output
    assert len(outcome.output.splitlines()) == 1


async def test_a_system_that_dies_under_load_fails_without_a_traceback(loadtest: LoadTest, system: Parts) -> None:
    size = {"USERS": "6", "SPAWN_RATE": "6", "RUN_TIME": "4s"}
    process = await loadtest.start("headless", **size, **system.settings())
    await until_voted(loadtest)
    system.vote.kill()
    system.result.kill()
    outcome = await loadtest.end(process)

    assert outcome.code == 1
    assert "FAILED" in outcome.output
    assert "Traceback" not in outcome.output
    assert "the audit could not look at the system" in outcome.output


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"SHAPE": "triangle"}, "SHAPE=triangle is no shape"),
        ({"MODEL": "closed"}, "MODEL=closed is no model"),
        ({"USERS": "many"}, "USERS=many is not a number"),
        ({"PROCESSES": "0"}, "PROCESSES=0 is less than 1"),
        ({"VOTE_URL": "http://localhost:1"}, "set both VOTE_URL and RESULT_URL"),
        ({"LIMITS": "nowhere.toml"}, "the limits in nowhere.toml can't be read"),
    ],
)
async def test_a_wrong_setting_is_named(loadtest: LoadTest, settings: dict[str, str], words: str) -> None:
    outcome = await loadtest.run("headless", **settings)

    assert outcome.code == 1
    assert words in outcome.output
    assert len(outcome.output.splitlines()) == 1


def vote_queue(parts: Parts) -> str:
    """The vote service's queue in a parted system."""
    return parts.redis_url[:-1] + "1"


async def until_voted(loadtest: LoadTest) -> None:
    """Wait until the ledger has votes."""

    async def voted() -> bool:
        return any(path.stat().st_size for path in loadtest.data.glob("loadtest/2*/ledger-*.jsonl"))

    await eventually_async(voted, within=60)

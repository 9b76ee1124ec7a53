"""The load test against real services: it passes them, and catches those that lose, double, revert, or are slow."""

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from common.tasks import end
from local import servers
from proof.audit import CLOCKS_SECONDS
from tests.loadtest.conftest import SIZE, LoadTest
from tests.loadtest.saboteur import Saboteur
from tests.loadtest.slow_proxy import slow_proxy
from tests.services import Service, service
from tests.waiting import eventually_async

pytestmark = pytest.mark.timeout(240)


@dataclass
class Parts:
    """A system whose vote service and worker have a queue each, so that somebody can stand between them."""

    vote: Service
    worker: Service
    result: Service
    redis_urls: tuple[str, str]  # the vote service's and the worker's
    database_url: str

    def settings(self) -> dict[str, str]:
        return {
            "VOTE_URL": self.vote.url,
            "RESULT_URL": self.result.url,
            "REDIS_URL": self.redis_urls[1],
            "DATABASE_URL": self.database_url,
        }


def queue_url(redis: servers.Server, number: int) -> str:
    """The address of one of Redis' databases."""
    return f"{redis.url}?db={number}" if redis.url.startswith("unix") else f"{redis.url.rstrip('/')}/{number}"


@pytest.fixture
async def empty_queues(redis: servers.Server) -> None:
    async with Redis.from_url(redis.url) as client:
        await client.flushall()


@pytest.fixture
def parts(empty_queues: None, redis: servers.Server, database: str) -> Iterator[Parts]:
    urls = [queue_url(redis, number) for number in (1, 2)]
    with ExitStack() as stack:
        vote, worker, result = (
            stack.enter_context(service(name, redis_url=url, database_url=database))
            for name, url in (("vote", urls[0]), ("worker", urls[1]), ("result", urls[0]))
        )
        for part in (vote, worker, result):
            part.until_ready()
        yield Parts(vote, worker, result, redis_urls=(urls[0], urls[1]), database_url=database)


@pytest.mark.platform
async def test_a_small_run_passes_and_leaves_its_files(loadtest: LoadTest, settings: dict[str, str]) -> None:
    outcome = await loadtest.run("headless", **SIZE, **settings)

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


async def test_a_run_on_processes_audits_all_their_ledgers(loadtest: LoadTest, settings: dict[str, str]) -> None:
    outcome = await loadtest.run("headless", PROCESSES="2", **SIZE, **settings)

    assert outcome.code == 0, outcome.output
    assert outcome.folder is not None
    assert len(list(outcome.folder.glob("ledger-*.jsonl"))) == 2
    assert outcome.result["audit"]["confirmed"] > 0
    assert not list((loadtest.data / "loadtest" / "workers").iterdir())


async def test_the_open_model_sends_what_it_was_asked_for(loadtest: LoadTest, settings: dict[str, str]) -> None:
    outcome = await loadtest.run("headless", MODEL="open", **SIZE, **settings)

    assert outcome.code == 0, outcome.output
    assert any("from when it was due" in row["name"] for row in outcome.result["table"])
    assert outcome.result["votes"] > 30


async def test_one_lost_one_doubled_and_one_reverted_vote_are_caught(loadtest: LoadTest, parts: Parts) -> None:
    """About one of each in a thousand votes, by somebody who stands between the vote service and the worker."""
    loadtest.limits(think="[0.02, 0.1]")
    async with (
        Redis.from_url(parts.redis_urls[0]) as source,
        Redis.from_url(parts.redis_urls[1]) as target,
    ):
        saboteur = Saboteur(source, target, begin=200, every=100)
        passing = asyncio.create_task(saboteur.run())
        try:
            size = {"USERS": "16", "SPAWN_RATE": "16", "RUN_TIME": "60s"}
            process = await loadtest.start("headless", **size, **parts.settings())
            await eventually_async(lambda: all_done(saboteur), within=50, saying="it has done its worst")
            # by then the worker has counted what was done last, and no vote that the end leaves in doubt can explain it
            enough = saboteur.newest_cast_at + CLOCKS_SECONDS + 1
            await eventually_async(lambda: has_passed(saboteur, enough), within=30)
            process.send_signal(signal.SIGINT)
            outcome = await loadtest.end(process)
        finally:
            await end(passing)

    assert outcome.code == 1, outcome.output
    audit = outcome.result["audit"]
    assert (audit["lost"], audit["doubled"], audit["reverted"]) == (1, 1, 1), json.dumps(audit, indent=1)
    assert "FAILED" in outcome.output


async def all_done(saboteur: Saboteur) -> bool:
    return saboteur.done == {"lost": 1, "doubled": 1, "reverted": 1}


async def has_passed(saboteur: Saboteur, cast_at: float) -> bool:
    return saboteur.newest_cast_at >= cast_at


async def test_a_slow_system_breaks_its_limits(loadtest: LoadTest, settings: dict[str, str]) -> None:
    loadtest.limits(vote_ms=100)
    async with slow_proxy(urlsplit(settings["VOTE_URL"]).port or 80, seconds=0.3) as url:
        outcome = await loadtest.run("headless", **SIZE, **{**settings, "VOTE_URL": url})

    assert outcome.code == 1, outcome.output
    assert outcome.result["audit"]["ok"]
    assert "BROKEN  vote_p95_ms" in outcome.output


async def test_a_system_that_dies_under_load_fails_without_a_traceback(loadtest: LoadTest, parts: Parts) -> None:
    process = await loadtest.start("headless", **SIZE, **parts.settings())
    await until_voted(loadtest)
    parts.vote.kill()
    parts.result.kill()
    outcome = await loadtest.end(process)

    assert outcome.code == 1
    assert "FAILED" in outcome.output
    assert "Traceback" not in outcome.output
    assert "the audit could not read the system" in outcome.output


async def until_voted(loadtest: LoadTest) -> None:
    """Wait until the ledger has votes."""

    async def voted() -> bool:
        return any(path.stat().st_size for path in loadtest.data.glob("loadtest/2*/ledger-*.jsonl"))

    await eventually_async(voted, within=60)

"""Several workers: one counts, the others stand by and take over."""

import signal
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from common.vote_queue import VoteQueue
from local import servers
from tests.fakes import message
from tests.services import Service, service
from tests.waiting import BUSY_SECONDS, eventually, eventually_async

pytestmark = pytest.mark.platform

TAKE_OVER_SECONDS = 3


@pytest.fixture
async def redis_url(queue: VoteQueue, redis: servers.Server) -> str:
    return redis.url


def counts(worker: Service) -> bool:
    return worker.metric("counting") == 1


async def test_a_worker_makes_the_tables_and_counts(queue: VoteQueue, redis_url: str, empty_database: str) -> None:
    await queue.push([message("v", "a"), message("w", "b")])
    with service("worker", redis_url=redis_url, database_url=empty_database) as worker:
        worker.until_ready()
        await until_counted(queue)

        assert worker.metric("votes_recorded_total") == 2

    connection = await asyncpg.connect(empty_database)
    assert await connection.fetchval("SELECT sum(votes) FROM tallies") == 2
    await connection.close()


async def test_of_two_workers_one_counts_and_the_other_takes_over_when_it_is_killed(
    queue: VoteQueue, redis_url: str, empty_database: str
) -> None:
    with (
        service("worker", redis_url=redis_url, database_url=empty_database) as first,
        service("worker", redis_url=redis_url, database_url=empty_database) as second,
    ):
        first.until_ready()
        second.until_ready()
        eventually(lambda: counts(first) or counts(second), within=20)
        assert counts(first) != counts(second)
        counting, standing_by = (first, second) if counts(first) else (second, first)

        counting.kill()

        eventually(lambda: counts(standing_by), within=TAKE_OVER_SECONDS + BUSY_SECONDS)
        await queue.push([message("v", "a")])
        await until_counted(queue)


async def test_a_worker_without_servers_waits_for_them_and_says_so(
    queue: VoteQueue, redis_url: str, empty_database: str, postgres: servers.Server
) -> None:
    with service("worker", redis_url=redis_url, database_url=empty_database) as worker:
        worker.until_ready()
        postgres.kill()
        try:
            eventually(lambda: worker.get("/readyz").status_code == 503, within=20)
            assert "counting" in worker.get("/readyz").json()["failing"]
            assert worker.get("/healthz").status_code == 200
        finally:
            postgres.start()

        worker.until_ready()
        await queue.push([message("v", "a")])
        await until_counted(queue)


async def test_a_worker_that_hangs_loses_its_lock_to_another(
    queue: VoteQueue, redis_url: str, empty_database: str
) -> None:
    with (
        service("worker", redis_url=redis_url, database_url=empty_database) as hanging,
        service("worker", redis_url=redis_url, database_url=empty_database) as other,
    ):
        for worker in (hanging, other):
            worker.until_ready()
        eventually(lambda: counts(hanging) or counts(other), within=20)
        if counts(other):
            hanging, other = other, hanging
        hanging.process.send_signal(signal.SIGSTOP)
        try:
            await queue.push([message("v", "a")])

            await until_counted(queue, within=30)
            assert counts(other)
        finally:
            hanging.process.send_signal(signal.SIGCONT)
        eventually(lambda: not counts(hanging), within=20)


async def test_a_worker_without_redis_does_not_claim_to_count(
    empty_database: str, postgres: servers.Server, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """And says so once, however often it tries."""
    nowhere = f"unix://{tmp_path}/redis.sock"
    admin = await asyncpg.connect(postgres.url)
    name = urlsplit(empty_database).path.removeprefix("/")

    async def has_tried(times: int) -> bool:
        tried = await admin.fetchval("SELECT sessions FROM pg_stat_database WHERE datname = $1", name)
        return bool(tried > times)

    with service("worker", redis_url=nowhere, database_url=empty_database) as worker:
        await eventually_async(lambda: has_tried(5), within=30)
        assert worker.metric("counting") == 0

    await admin.close()
    lines = capfd.readouterr().out.splitlines()
    assert len([line for line in lines if "waiting_for_servers" in line]) == 1
    assert not [line for line in lines if '"counting"' in line]


async def test_a_message_that_was_rejected_is_no_recorded_vote(
    queue: VoteQueue, redis_url: str, empty_database: str, capfd: pytest.CaptureFixture[str]
) -> None:
    log = ""

    def told(event: str) -> list[str]:
        nonlocal log
        log += capfd.readouterr().out
        return [line for line in log.splitlines() if f'"{event}"' in line]

    with service("worker", redis_url=redis_url, database_url=empty_database) as worker:
        worker.until_ready()
        for messages in ([b"nonsense"], [b"nonsense", message("v", "a"), message("w", "b")]):
            await queue.push(messages)
            await until_counted(queue)
        eventually(lambda: told("votes_recorded"), within=20)
    assert len(told("vote_rejected")) == 2
    (line,) = told("votes_recorded")
    assert '"votes": 2' in line


async def until_counted(queue: VoteQueue, *, within: float = 20) -> None:
    async def empty() -> bool:
        return await queue.waiting() == 0

    await eventually_async(empty, within=within)

"""An outage that is over shows as one reconnect."""

import asyncio
from pathlib import Path

import pytest
from asyncpg import Connection
from prometheus_client import REGISTRY

from common.tasks import end
from common.vote_queue import QueueUnavailable, VoteQueue
from local import servers
from result.tally import Tally
from result.watch import watch_tally
from tests.waiting import eventually_async

pytestmark = pytest.mark.platform


def reconnects(server: str) -> float:
    return REGISTRY.get_sample_value("reconnects_total", {"server": server}) or 0.0


async def test_a_redis_that_was_killed_and_is_back_is_one_reconnect(tmp_path: Path) -> None:
    before = reconnects("redis")
    with servers.redis(tmp_path) as redis:
        async with VoteQueue.open(redis.url) as queue:
            await queue.push([b"1"])
            redis.kill()
            for _ in range(3):
                with pytest.raises(QueueUnavailable):
                    await queue.push([b"lost for sure"])
            assert reconnects("redis") == before
            redis.start()
            await queue.push([b"2"])
            await queue.stats()

    assert reconnects("redis") - before == 1


async def test_a_connection_to_the_database_that_was_cut_is_one_reconnect(
    database: str, connection: Connection
) -> None:
    before = reconnects("postgresql")
    seen: list[Tally] = []
    watching = asyncio.create_task(watch_tally(database, seen.append))

    async def has_seen() -> bool:
        return bool(seen)

    async def has_reconnected() -> bool:
        return reconnects("postgresql") > before

    await eventually_async(has_seen, within=20)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'tallyho-result' AND datname = current_database()"
    )
    await eventually_async(has_reconnected, within=20)
    await end(watching)

    assert reconnects("postgresql") - before == 1

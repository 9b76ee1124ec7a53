"""The result service's eyes: a notification wakes, the table decides, lost connections come back."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from asyncpg import Connection

from common.tasks import end
from local import servers
from result import watch
from result.tally import Tally
from result.watch import watch_tally
from tests.waiting import eventually_async


class Seen:
    """What the watcher has shown."""

    def __init__(self) -> None:
        self.tallies: list[Tally] = []

    async def until(self, votes: dict[str, int], *, within: float = 20) -> None:
        async def last() -> bool:
            return bool(self.tallies) and self.tallies[-1].votes == votes

        await eventually_async(last, within=within, saying=f"the tally is {votes}")


@pytest.fixture
async def seen(database: str) -> AsyncIterator[Seen]:
    seen = Seen()
    watching = asyncio.create_task(watch_tally(database, seen.tallies.append))
    yield seen
    await end(watching)


@pytest.fixture
def no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "READ_AT_LEAST_EVERY_SECONDS", 3600)


async def insert(connection: Connection, voter: str, vote: str) -> None:
    await connection.execute("INSERT INTO votes (voter_id, vote) VALUES ($1, $2)", voter, vote)


@pytest.mark.usefixtures("no_polling")
async def test_a_change_by_anybody_is_seen_by_its_notification(seen: Seen, connection: Connection) -> None:
    await seen.until({})
    await insert(connection, "v", "a")
    await seen.until({"a": 1})
    await connection.execute("UPDATE votes SET vote = 'b'")
    await seen.until({"b": 1})
    await connection.execute("TRUNCATE votes")
    await seen.until({})


async def test_a_change_is_seen_without_a_notification_too(seen: Seen, connection: Connection) -> None:
    await seen.until({})
    await connection.execute("INSERT INTO tallies VALUES ('a', 7)")

    await seen.until({"a": 7})


@pytest.mark.usefixtures("no_polling")
async def test_a_watcher_whose_connection_is_cut_connects_again_and_sees_what_it_missed(
    seen: Seen, connection: Connection
) -> None:
    await seen.until({})
    async with connection.transaction():
        await insert(connection, "v", "a")
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'tallyho-result' AND datname = current_database()"
        )

    await seen.until({"a": 1})
    await insert(connection, "w", "a")
    await seen.until({"a": 2})


async def test_a_watcher_comes_back_after_the_database_was_killed(
    seen: Seen, database: str, postgres: servers.Server
) -> None:
    await seen.until({})
    postgres.kill()
    postgres.start()
    connection = await asyncpg.connect(database)
    await insert(connection, "v", "a")
    await connection.close()

    await seen.until({"a": 1})


async def test_many_changes_are_read_at_most_ten_times_a_second(seen: Seen, connection: Connection) -> None:
    await seen.until({})
    before = len(seen.tallies)
    started = asyncio.get_running_loop().time()
    for number in range(200):
        await insert(connection, f"voter {number}", "a")
    await seen.until({"a": 200})
    seconds = asyncio.get_running_loop().time() - started

    assert len(seen.tallies) - before <= seconds / watch.READ_AT_MOST_EVERY_SECONDS + 2

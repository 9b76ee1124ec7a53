"""Least rights in PostgreSQL: the worker may write votes, the dashboard may read tallies, and that is all."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from common.message import Vote
from local import servers
from result.tally import read_tally
from worker.batch import columns_of
from worker.record import record
from worker.schema import NoTables, apply_schema
from worker.tallies import heal_tallies

pytestmark = pytest.mark.platform

PROJECT = Path(__file__).parent.parent.parent


def make_schema(database_url: str) -> subprocess.CompletedProcess[str]:
    """Run the owner's command."""
    return subprocess.run(
        [sys.executable, "-m", "worker.schema"],
        cwd=PROJECT,
        env=os.environ | {"DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def as_role(database_url: str, role: str) -> str:
    parts = urlsplit(database_url)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}"))


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


@pytest.fixture(scope="module")
def shut_database(postgres: servers.Server) -> Iterator[str]:
    """A database that its owner has set up with least rights; what is tried on it is refused."""
    asyncio.run(execute(postgres.url, "CREATE DATABASE shut TEMPLATE template0"))
    url = urlunsplit(urlsplit(postgres.url)._replace(path="/shut"))
    done = make_schema(url)
    assert done.returncode == 0, done.stderr
    asyncio.run(execute(url, "INSERT INTO votes (voter_id, vote) VALUES ('somebody', 'z')"))
    yield url
    asyncio.run(execute(postgres.url, "DROP DATABASE shut WITH (FORCE)"))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def worker(shut_database: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(as_role(shut_database, "tallyho_worker")) as connection:
        yield connection


@pytest.fixture
async def result(shut_database: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(as_role(shut_database, "tallyho_result")) as connection:
        yield connection


NOBODY_MAY = [
    "DELETE FROM votes",
    "TRUNCATE votes",
    "DROP TABLE votes",
    "ALTER TABLE votes ADD COLUMN x TEXT",
    "CREATE TABLE mine ()",
    "CREATE TEMP TABLE tallies ()",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TRIGGER t AFTER INSERT ON votes EXECUTE FUNCTION tally_truncated()",
    "ALTER TABLE votes DISABLE TRIGGER ALL",
    "INSERT INTO tallies VALUES ('a', 1000000)",
    "UPDATE tallies SET votes = votes + 1",
    "DELETE FROM tallies",
    "SELECT * FROM wrong_tallies()",
    "CREATE ROLE friend SUPERUSER",
    "SET ROLE postgres",
    "COPY votes TO PROGRAM 'cat'",
    "SELECT pg_read_file('/etc/passwd')",
]


@pytest.mark.parametrize("statement", [*NOBODY_MAY, "SELECT * FROM tallies"])
async def test_the_worker_may_not(worker: asyncpg.Connection, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await worker.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        *NOBODY_MAY,
        "SELECT voter_id FROM votes",
        "INSERT INTO votes (voter_id, vote) VALUES ('me', 'a')",
        "UPDATE votes SET vote = 'b'",
        "BEGIN; LOCK TABLE votes",
        "SELECT * FROM heal_tallies()",
    ],
)
async def test_the_dashboard_may_not(result: asyncpg.Connection, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await result.execute(statement)


async def test_what_the_worker_records_the_dashboard_reads(
    worker: asyncpg.Connection, result: asyncpg.Connection
) -> None:
    async with worker.transaction():
        await worker.execute("LOCK TABLE votes IN ROW EXCLUSIVE MODE")
        await record(worker, columns_of([Vote("1", "a", None), Vote("2", "a", None), Vote("3", "b", None)]))
    await record(worker, columns_of([Vote("1", "b", None)]))

    assert (await read_tally(result)).votes == {"a": 1, "b": 2, "z": 1}


@pytest.mark.parametrize("damage", ["TRUNCATE tallies", "UPDATE tallies SET votes = votes + 7"])
async def test_the_worker_heals_tallies_that_it_may_not_touch(
    shut_database: str, worker: asyncpg.Connection, result: asyncpg.Connection, damage: str
) -> None:
    before = await read_tally(result)
    await execute(shut_database, damage)
    assert (await read_tally(result)).votes != before.votes

    await heal_tallies(worker)

    assert (await read_tally(result)).votes == before.votes


async def test_a_worker_says_who_can_renew_the_tables_that_are_too_old_for_it(shut_database: str) -> None:
    """And goes on when that is done. It would be a loop of errors about columns otherwise."""
    await execute(shut_database, "ALTER TABLE votes DROP number, DROP series", "DROP FUNCTION heal_tallies")
    try:
        async with connected(as_role(shut_database, "tallyho_worker")) as connection:
            with pytest.raises(
                NoTables, match=r"lack heal_tallies\(\), number, series: .* with python -m worker\.schema"
            ):
                await apply_schema(connection)
    finally:
        done = make_schema(shut_database)
    assert done.returncode == 0, done.stderr
    async with connected(as_role(shut_database, "tallyho_worker")) as connection:
        await apply_schema(connection)
        await heal_tallies(connection)


async def test_the_workers_errors_are_logged_without_the_row_on_any_server(shut_database: str) -> None:
    """The row has the voter's id. Ours say so for all; on one of somebody else's the role brings it along."""
    await execute(shut_database, "ALTER DATABASE shut SET log_error_verbosity = verbose")
    try:
        for role, verbosity in (("postgres", "verbose"), ("tallyho_worker", "terse")):
            async with connected(as_role(shut_database, role)) as connection:
                assert await connection.fetchval("SHOW log_error_verbosity") == verbosity
    finally:
        await execute(shut_database, "ALTER DATABASE shut RESET log_error_verbosity")


async def test_a_worker_that_does_not_own_the_tables_leaves_them_as_they_are(worker: asyncpg.Connection) -> None:
    await apply_schema(worker)


async def test_a_worker_that_may_not_make_the_tables_says_who_can(shut_database: str, empty_database: str) -> None:
    await execute(empty_database, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # as it is since PostgreSQL 15

    async with connected(as_role(empty_database, "tallyho_worker")) as worker:
        with pytest.raises(NoTables, match=r"as the database's owner, with python -m worker\.schema"):
            await apply_schema(worker)


async def test_no_other_role_may_enter(shut_database: str) -> None:
    await execute(shut_database, "CREATE ROLE stranger LOGIN")
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(as_role(shut_database, "stranger"))
    finally:
        await execute(shut_database, "DROP ROLE stranger")


async def test_setting_it_up_twice_changes_nothing(shut_database: str, result: asyncpg.Connection) -> None:
    before = await read_tally(result)

    done = make_schema(shut_database)

    assert done.returncode == 0, done.stderr
    assert (await read_tally(result)).votes == before.votes


def test_a_database_that_can_not_be_reached_is_one_clear_line(tmp_path: Path) -> None:
    done = make_schema(f"postgresql://postgres:s3cret@/votes?host={tmp_path}")

    assert done.returncode == 1
    assert done.stderr.startswith("worker.schema: ")
    assert len(done.stderr.splitlines()) == 1
    assert "s3cret" not in done.stderr


def test_vote_has_no_way_into_a_database() -> None:
    requirements = (PROJECT / "vote" / "requirements.txt").read_text(encoding="utf-8")

    assert "redis==" in requirements
    assert "asyncpg" not in requirements

"""Real servers and databases for these tests, on sockets in a folder of their own, and copies of the project."""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from redis.asyncio import Redis

from common.vote_queue import VoteQueue
from local import servers
from tests.integration.copies import Up, copy_of_the_project, ready
from worker.counter import SCHEMA

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """A PostgreSQL for the whole run."""
    with servers.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """A Redis for the whole run."""
    with servers.redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
async def empty_database(postgres: servers.Server) -> AsyncIterator[str]:
    """The address of a database of this test's own, without tables."""
    name = f"test_{next(numbers)}"
    await _execute(postgres.url, f"CREATE DATABASE {name} TEMPLATE template0")
    yield urlunsplit(urlsplit(postgres.url)._replace(path=f"/{name}"))
    await _execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(url: str, statement: str) -> None:
    # not kept open: a test may kill the server
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


@pytest.fixture
async def database(empty_database: str) -> str:
    """The address of a database of this test's own, with our schema."""
    connection = await asyncpg.connect(empty_database)
    await connection.execute(SCHEMA.read_text(encoding="utf-8"))
    await connection.close()
    return empty_database


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to this test's database."""
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


@pytest.fixture
async def queue(redis: servers.Server) -> AsyncIterator[VoteQueue]:
    """An empty queue in the real Redis."""
    async with Redis.from_url(redis.url) as client:
        await client.flushall()
    async with VoteQueue.open(redis.url) as queue:
        yield queue


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One that several tests use, because each start costs seconds; it stays as they found it, but for its votes."""
    with ready(Up(copy_of_the_project(tmp_path_factory.mktemp("shared") / "project"))) as up:
        yield up


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_of_the_project(tmp_path / "project")


@pytest.fixture
def up(project: Path) -> Iterator[Up]:
    with ready(Up(project)) as up:
        yield up

"""Faults that no message is to blame for cost no vote and end no worker.

Votes wait, the worker says clearly what is wrong, and it goes on when that is mended.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from asyncpg import Connection
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from structlog.testing import capture_logs

from common.vote_queue import Peek, QueueBroken, QueueUnavailable, VoteQueue
from local import servers
from tests.fakes import message
from tests.integration.counting import WITHIN_SECONDS, counting, rejected_in, until_empty, votes_in
from tests.waiting import eventually_async
from worker import counter
from worker.batch import QueueHead
from worker.count import count_batch
from worker.schema import apply_schema

pytestmark = pytest.mark.platform

RAISES = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no, not %', 'now' USING ERRCODE = '{code}', TABLE = 'votes'; END $$;
CREATE TRIGGER fail BEFORE INSERT ON votes FOR EACH ROW EXECUTE FUNCTION fail()
"""
ELSEWHERE = """
CREATE TABLE elsewhere (vote VARCHAR(1) CHECK (vote <> 'a'));
CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO elsewhere VALUES (NEW.vote); RETURN NULL; END $$;
CREATE TRIGGER copy AFTER INSERT ON votes FOR EACH ROW EXECUTE FUNCTION copy()
"""

# what breaks it, what mends it, and what the worker says
FAULTS = {
    "a sequence behind its table": (
        "INSERT INTO votes (id, voter_id, vote) OVERRIDING SYSTEM VALUE"
        " SELECT n, 'restored ' || n, 'a' FROM generate_series(1, 1000) AS n",
        "ALTER TABLE votes ALTER COLUMN id RESTART WITH 1001",
        "votes_pkey",
    ),
    "a column that wants a value": (
        "ALTER TABLE votes ADD COLUMN room TEXT NOT NULL DEFAULT 'x'; ALTER TABLE votes ALTER room DROP DEFAULT",
        "ALTER TABLE votes DROP COLUMN room",
        "room",
    ),
    "a column that is gone": (
        "ALTER TABLE votes DROP COLUMN cast_at",
        "ALTER TABLE votes ADD COLUMN cast_at TIMESTAMPTZ",
        "cast_at",
    ),
    "a column of another type": (
        "ALTER TABLE votes ALTER COLUMN vote TYPE INTEGER USING 1",
        "ALTER TABLE votes ALTER COLUMN vote TYPE VARCHAR(1) USING 'a'",
        "integer",  # PostgreSQL's words differ from version to version
    ),
    "another unique column": ("CREATE UNIQUE INDEX one_each ON votes (vote)", "DROP INDEX one_each", "one_each"),
    "a trigger that fails like a CHECK": (RAISES.format(code="23514"), "DROP FUNCTION fail CASCADE", "no, not now"),
    "a trigger that fails like a width": (RAISES.format(code="22001"), "DROP FUNCTION fail CASCADE", "no, not now"),
    "a trigger that fails": (RAISES.format(code="P0001"), "DROP FUNCTION fail CASCADE", "no, not now"),
    "a CHECK of another table": (ELSEWHERE, "DROP FUNCTION copy CASCADE", "elsewhere"),
    "a function that is gone": (
        "DROP FUNCTION is_credible CASCADE; ALTER TABLE votes ADD COLUMN is_credible TEXT NOT NULL DEFAULT 'x';"
        "ALTER TABLE votes ALTER is_credible DROP DEFAULT",
        "ALTER TABLE votes DROP COLUMN is_credible",
        "is_credible",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_the_database_rejects_nothing_and_heals(
    database: str, connection: Connection, queue: VoteQueue, redis: servers.Server, fault: str
) -> None:
    damage, mending, words = FAULTS[fault]
    await connection.execute(damage)
    with capture_logs() as lines:
        async with counting(database, queue) as worker:
            await queue.push([message("v", "a"), message("w", "a")])
            await worker.until("failing", saying=words)
            assert await queue.waiting() == 2
            assert await rejected_in(redis) == []

            await connection.execute(mending)
            await until_empty(queue)
            await worker.until("counting")

    assert {"v", "w"} <= set(await votes_in(connection))
    assert await rejected_in(redis) == []
    (line,) = [line for line in lines if line["event"] == "failing"]
    assert line["log_level"] == "error"
    assert line["where"].startswith("worker/")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("ALTER TABLE votes ADD CONSTRAINT no_c CHECK (vote <> 'c')", "no_c"),
        ("CREATE TABLE options AS SELECT 'a'::varchar(1) AS key; ALTER TABLE options ADD PRIMARY KEY (key);"
         "ALTER TABLE votes ADD CONSTRAINT known FOREIGN KEY (vote) REFERENCES options", "known"),
        ("ALTER TABLE votes ALTER voter_id TYPE VARCHAR(8)", "too long"),
    ],
)  # fmt: skip
async def test_a_vote_against_the_rules_of_its_table_is_rejected_and_its_voter_not_named(
    connection: Connection, queue: VoteQueue, redis: servers.Server, postgres: servers.Server, rule: str, words: str
) -> None:
    """Neither in our log, nor in PostgreSQL's, nor in the reason."""
    await connection.execute(rule)
    voter = f"somebody-{time.time_ns()}"
    await queue.push([message("good", "a"), message(voter, "c"), message("right", "a")])

    with capture_logs() as lines:
        assert await count_batch(connection, queue, QueueHead(queue, 100)) == 3

    assert await votes_in(connection) == {"good": "a", "right": "a"}
    (note,) = await rejected_in(redis)
    assert voter in note["message"]
    assert words in note["reason"]
    assert voter not in note["reason"]
    assert [line["reason"] for line in lines if line["event"] == "vote_rejected"] == [note["reason"]]
    assert voter not in str([line for line in lines if line["log_level"] != "debug"])
    assert words in (log := postgres.log.read_text(errors="replace"))
    assert voter not in log


async def test_letters_that_the_database_can_not_hold_reject_their_vote_only(
    postgres: servers.Server, queue: VoteQueue, redis: servers.Server
) -> None:
    admin = await asyncpg.connect(postgres.url)
    await admin.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    try:
        async with counting(urlunsplit(urlsplit(postgres.url)._replace(path="/latin")), queue):
            await queue.push([message("v", "a"), message("\N{SNOWMAN}", "a"), message("w", "a")])
            await until_empty(queue)
        assert len(await rejected_in(redis)) == 1
    finally:
        await admin.execute("DROP DATABASE latin WITH (FORCE)")
        await admin.close()


async def test_a_fault_of_our_own_code_is_told_as_one_and_ends_nothing(
    database: str, queue: VoteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgetful(*_: object) -> None:
        raise TypeError("one array is missing")

    monkeypatch.setattr(counter, "count_batch", forgetful)
    with capture_logs() as lines:
        async with counting(database, queue) as worker:
            await worker.until("failing", saying="TypeError: one array is missing")
            monkeypatch.setattr(counter, "count_batch", count_batch)
            await worker.until("counting")
    assert [line["event"] for line in lines if line["event"] in ("failing", "counting")] == ["failing", "counting"]


async def test_arguments_that_do_not_fit_are_told_without_their_values(
    database: str, queue: VoteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncpg quotes them, voters' ids among them."""

    async def wrong(connection: Connection, columns: Any) -> None:
        await connection.fetch("SELECT $1::int[]", ["the-id-of-a-voter"])

    monkeypatch.setattr(counter, "record", wrong)
    with capture_logs() as lines:
        async with counting(database, queue) as worker:
            await worker.until("failing", saying="invalid input for query argument $1 (")
    assert "the-id-of-a-voter" not in str([line for line in lines if line["log_level"] != "debug"])


@pytest.fixture
async def client(redis: servers.Server) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis.url) as client:
        yield client


COUNTED = "{votes}:counted"
WRONG_COUNTS = [b"nonsense", b"", b"-5", b"007", b" 7", b"1_000", b"1.5", b"9" * 18 + b"9", b"9" * 400, b"\xff"]


@pytest.mark.parametrize("value", WRONG_COUNTS)
async def test_a_count_that_is_none_stops_the_counting_until_somebody_sets_it(
    database: str, connection: Connection, queue: VoteQueue, client: Redis, value: bytes
) -> None:
    await client.set(COUNTED, value)
    await queue.push([message("v", "a")])
    with pytest.raises(QueueUnavailable, match="is not a count of votes"):
        await queue.stats()

    with capture_logs() as lines:
        async with counting(database, queue) as worker:
            await worker.until("failing", saying="is not a count of votes: set it to 0")
            await client.set(COUNTED, 0)
            await until_empty(queue)
            await worker.until("counting")

    assert await votes_in(connection) == {"v": "a"}
    assert len([line for line in lines if line["event"] == "failing"]) == 1
    assert (await queue.stats()).counted == 1


@pytest.mark.parametrize("key", ["votes", COUNTED, "votes:rejected"])
async def test_a_key_that_holds_something_else_stops_the_counting_until_it_is_gone(
    database: str, connection: Connection, queue: VoteQueue, client: Redis, key: str
) -> None:
    answer: Any = client.sadd(key, "x")
    await answer
    if key != "votes":
        await queue.push([b"nonsense", message("v", "a")])
    with pytest.raises(QueueBroken, match="WRONGTYPE"):
        await queue.stats()

    async with counting(database, queue) as worker:
        await worker.until("failing", saying="WRONGTYPE")
        await client.delete(key)
        await worker.until("counting")
        if key == "votes":
            await queue.push([message("v", "a")])
        await until_empty(queue)

    assert await votes_in(connection) == {"v": "a"}


async def test_a_redis_that_is_read_only_is_waited_for_with_ever_longer_pauses(
    database: str, queue: VoteQueue, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers a ping; but a connection alone is nothing yet, and applying the schema each time is much too much."""
    applied: list[float] = []
    tried: list[float] = []
    real_wait = queue.wait

    async def noted(connection: Connection) -> None:
        applied.append(time.monotonic())
        await apply_schema(connection)

    async def wait(seconds: float) -> bool:
        tried.append(time.monotonic())
        return await real_wait(seconds)

    async def six() -> bool:
        return len(tried) >= 6

    monkeypatch.setattr(counter, "apply_schema", noted)
    monkeypatch.setattr(queue, "wait", wait)
    await client.replicaof("127.0.0.1", "1")
    try:
        with capture_logs() as lines:
            async with counting(database, queue) as worker:
                await eventually_async(six, within=WITHIN_SECONDS)
                assert tried[5] - tried[0] > 0.1 + 0.2 + 0.4 + 0.8 + 1.0 - 0.05
                assert applied == []
                await worker.until("waiting_for_servers", saying="read only")
                await client.replicaof("NO", "ONE")
                await worker.until("counting")
    finally:
        await client.replicaof("NO", "ONE")
    events = [line["event"] for line in lines if line["event"] in ("waiting_for_servers", "counting")]
    assert events == ["waiting_for_servers", "counting"]


@pytest.mark.parametrize("error", [asyncpg.InternalClientError("got result for unknown protocol state 3"), None])
async def test_connections_that_are_ended_again_and_again_are_waited_for(
    database: str, connection: Connection, queue: VoteQueue, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    """asyncpg has an error of its own for one that ends at the wrong moment."""
    if error:
        errors = [error] * 3

        async def ended(*arguments: Any) -> int:
            if errors:
                raise errors.pop()
            return await count_batch(*arguments)

        monkeypatch.setattr(counter, "count_batch", ended)
    reconnects = REGISTRY.get_sample_value("reconnects_total", {"server": "postgresql"}) or 0.0
    with capture_logs() as lines:
        async with counting(database, queue) as worker:
            for number in range(20):
                await queue.push([message(f"voter {number}", "a")])
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                await asyncio.sleep(0)
            await until_empty(queue)
            await worker.until("counting")

    assert len(await votes_in(connection)) == 20
    assert [line for line in lines if line["event"] == "failing"] == []
    assert (REGISTRY.get_sample_value("reconnects_total", {"server": "postgresql"}) or 0.0) > reconnects


async def test_nothing_is_read_ahead_any_more_when_recording_has_failed(connection: Connection) -> None:
    """A batch that is not recorded has no next one."""
    begun, ended = asyncio.Event(), asyncio.Event()

    class SlowQueue:
        async def peek(self, limit: int, *, behind: int = 0) -> Any:
            if not behind:
                return Peek(0, [message("v", "a")])
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async def is_at_head(self, peek: object) -> bool:
            return True

    await connection.execute(RAISES.format(code="P0001"))
    queue: Any = SlowQueue()
    with pytest.raises(asyncpg.RaiseError):
        async with asyncio.timeout(30):
            await count_batch(connection, queue, QueueHead(queue, 1))

    assert begun.is_set()
    assert ended.is_set()
    assert [task for task in asyncio.all_tasks() if "prefetch_behind" in repr(task)] == []

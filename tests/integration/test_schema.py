"""The triggers: `tallies` agrees with a recount whoever writes."""

import random
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from asyncpg import Connection

from common.message import Vote
from worker.batch import columns_of
from worker.counter import SCHEMA
from worker.record import record

pytestmark = pytest.mark.platform

START = datetime(2026, 1, 1, tzinfo=UTC)

RECOUNT = "SELECT vote, COUNT(*) FROM votes GROUP BY vote"
RECOUNT_OF_IDS = "SELECT vote, COUNT(id) AS count FROM votes GROUP BY vote"


async def assert_tallies_agree(connection: Connection) -> None:
    tallies = {row["vote"]: row["votes"] for row in await connection.fetch("SELECT vote, votes FROM tallies")}
    recount = {row["vote"]: row["count"] for row in await connection.fetch(RECOUNT)}
    assert tallies == recount
    assert recount == {row["vote"]: row["count"] for row in await connection.fetch(RECOUNT_OF_IDS)}


async def as_of(connection: Connection) -> datetime | None:
    newest: datetime | None = await connection.fetchval("SELECT max(as_of) FROM tallies")
    return newest


@pytest.mark.parametrize("seed", range(5))
async def test_tallies_agree_with_a_recount_after_any_statements(connection: Connection, seed: int) -> None:
    rng = random.Random(seed)

    def voters() -> list[str]:
        return rng.sample([f"voter {number}" for number in range(60)], rng.randint(1, 20))

    async def upsert() -> None:
        chosen = voters()
        await connection.execute(
            "INSERT INTO votes (voter_id, vote, cast_at)"
            " SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])"
            " ON CONFLICT (voter_id) DO UPDATE SET vote = excluded.vote, cast_at = excluded.cast_at",
            chosen,
            rng.choices("abc", k=len(chosen)),
            [rng.choice([None, START + timedelta(seconds=rng.random() * 1000)]) for _ in chosen],
        )

    async def update() -> None:
        await connection.execute("UPDATE votes SET vote = $1 WHERE voter_id = ANY($2)", rng.choice("abc"), voters())

    async def delete() -> None:
        await connection.execute("DELETE FROM votes WHERE voter_id = ANY($1)", voters())

    async def truncate() -> None:
        await connection.execute("TRUNCATE votes")

    for step in rng.choices([upsert, update, delete, truncate], weights=[6, 4, 4, 0.5], k=60):
        await step()
        await assert_tallies_agree(connection)


async def test_as_of_is_the_newest_cast_of_a_counted_vote(connection: Connection) -> None:
    insert = "INSERT INTO votes (voter_id, vote, cast_at) VALUES ($1, $2, $3)"
    assert await as_of(connection) is None
    await connection.execute(insert, "without a time", "a", None)
    assert await as_of(connection) is None
    await connection.execute(insert, "early", "a", START)
    await connection.execute(insert, "late", "b", START + timedelta(seconds=9))
    await connection.execute(insert, "between", "a", START + timedelta(seconds=5))
    assert await as_of(connection) == START + timedelta(seconds=9)
    await connection.execute("DELETE FROM votes WHERE voter_id = 'late'")
    assert await as_of(connection) == START + timedelta(seconds=5)
    await connection.execute("DELETE FROM votes WHERE voter_id = 'between'")
    assert await as_of(connection) == START
    await connection.execute("TRUNCATE votes")
    assert await as_of(connection) is None


async def test_the_schema_can_be_applied_again(connection: Connection) -> None:
    await connection.execute("INSERT INTO votes (voter_id, vote) VALUES ('v', 'a')")

    await connection.execute(SCHEMA.read_text(encoding="utf-8"))

    await assert_tallies_agree(connection)


async def test_a_schema_that_is_there_waits_for_nobody_who_reads(connection: Connection, database: str) -> None:
    """A dump reads as long as it takes; a worker that takes over meanwhile must not wait, nor keep others waiting."""
    reader = await asyncpg.connect(database)
    async with reader.transaction():
        await reader.fetch("SELECT * FROM votes, tallies")
        await connection.execute("SET lock_timeout = '10ms'")
        await connection.execute(SCHEMA.read_text(encoding="utf-8"))
    await reader.close()


async def test_a_table_from_before_the_numbers_gets_them_and_is_not_written_anew(connection: Connection) -> None:
    await connection.execute("ALTER TABLE votes DROP series, DROP number")
    await connection.execute("INSERT INTO votes (voter_id, vote) VALUES ('v', 'a'), ('w', 'b')")
    file = "SELECT pg_relation_filenode('votes')"
    before = await connection.fetchval(file)

    await connection.execute(SCHEMA.read_text(encoding="utf-8"))

    assert await connection.fetchval(file) == before
    assert [tuple(row) for row in await connection.fetch("SELECT voter_id, vote, series, number FROM votes")] == [
        ("v", "a", None, None),
        ("w", "b", None, None),
    ]
    await record(connection, columns_of([Vote("v", "b", None, number=3)]))
    assert await connection.fetchval("SELECT number FROM votes WHERE voter_id = 'v'") == 3
    await assert_tallies_agree(connection)


async def test_votes_from_before_the_triggers_are_tallied(empty_database: str) -> None:
    connection = await asyncpg.connect(empty_database)
    await connection.execute(
        "CREATE TABLE votes (id SERIAL PRIMARY KEY, voter_id VARCHAR(255) NOT NULL UNIQUE, vote VARCHAR(1) NOT NULL,"
        " created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, cast_at TIMESTAMPTZ)"
    )
    await connection.execute("INSERT INTO votes (voter_id, vote) VALUES ('v', 'a'), ('w', 'b'), ('x', 'b')")

    await connection.execute(SCHEMA.read_text(encoding="utf-8"))

    await assert_tallies_agree(connection)
    await connection.close()

"""The result service's eyes: a notification wakes, the table decides, lost connections come back."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from asyncpg import Connection
from prometheus_client import REGISTRY

from common.ballot import Ballot, Option
from common.tasks import end
from local import servers
from result import watch
from result.board import Board
from result.tally import Tally, UnreadableTally, read_tally
from result.viewers import Viewers
from result.watch import watch_tally
from tests.waiting import eventually_async

pytestmark = pytest.mark.platform

BALLOT = Ballot.of((Option("a", "Cats"), Option("b", "Dogs")))


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


@pytest.mark.parametrize("time", ["infinity", "-infinity", "20000-01-01", "4000-01-01 BC", "294276-12-31"])
async def test_a_time_that_no_clock_shows_leaves_the_tally_without_one(
    seen: Seen, connection: Connection, time: str
) -> None:
    """Whoever writes to `votes` may write any time that PostgreSQL knows; ours ends with the year 9999."""
    await connection.execute(f"INSERT INTO votes (voter_id, vote, cast_at) VALUES ('v', 'a', '{time}')")
    await seen.until({"a": 1})
    assert seen.tallies[-1].as_of is None

    await connection.execute("INSERT INTO votes (voter_id, vote, cast_at) VALUES ('w', 'b', '2026-01-01 12:00Z')")
    await seen.until({"a": 1, "b": 1})
    as_of = seen.tallies[-1].as_of
    assert as_of is not None
    assert as_of.year == 2026


@pytest.mark.parametrize("time", ["0001-01-01 00:00Z", "9999-12-31 23:59:59.999999Z"])
async def test_the_first_and_the_last_time_that_can_be_told_are_told(connection: Connection, time: str) -> None:
    await connection.execute(f"INSERT INTO tallies VALUES ('a', 1, '{time}')")
    board = Board(BALLOT, Viewers())

    board.show(await read_tally(connection))

    assert str(board.snapshot()["as_of"])[:4] == time[:4]


async def test_a_time_that_is_a_text_is_read_or_makes_the_table_unreadable(connection: Connection) -> None:
    await connection.execute("ALTER TABLE tallies ALTER as_of TYPE TEXT")
    await connection.execute("INSERT INTO tallies VALUES ('a', 1, '2026-01-01 12:00Z')")
    assert (await read_tally(connection)).as_of == datetime(2026, 1, 1, 12, tzinfo=UTC)

    await connection.execute("UPDATE tallies SET as_of = 'yesterday evening'")
    with pytest.raises(watch.Unavailable):
        await read_tally(connection)


async def test_a_tally_of_any_size_and_of_any_option_is_shown(connection: Connection) -> None:
    """Also of options that no ballot of ours can have, in votes that somebody else wrote."""
    most = 2**63 - 1
    await connection.execute(
        "INSERT INTO tallies (vote, votes)"
        " VALUES ('a', $1), ('', 1), ('<', 2), ('=', 3), ('ß', 4), ($2, 5), (chr(7), 6)",
        most,
        "\N{GRINNING FACE}",
    )
    board = Board(BALLOT, Viewers())

    board.show(await read_tally(connection))

    told = json.loads(json.dumps(board.snapshot()))
    assert told["total"] == most + 21
    assert {option["key"] for option in told["options"]} >= {"", "<", "=", "ß", "\N{GRINNING FACE}", "\a"}


ODD_TABLES = {
    "no votes": "vote TEXT, as_of TIMESTAMPTZ",
    "no as_of": "vote TEXT, votes BIGINT",
    "as_of is a text": "vote TEXT, votes BIGINT, as_of TEXT",
    "votes are a text": "vote TEXT, votes TEXT, as_of TIMESTAMPTZ",
    "votes are fractions": "vote TEXT, votes NUMERIC, as_of TIMESTAMPTZ",
    "vote is a number": "vote INTEGER, votes BIGINT, as_of TIMESTAMPTZ",
    "vote is a list": "vote TEXT[], votes BIGINT, as_of TIMESTAMPTZ",
}
ODD_ROWS = {
    "nothing": "(NULL, NULL)",
    "no option": "(NULL, 1)",
    "no number": "('a', NULL)",
    "less than none": "('a', -1)",
    "twice": "('a', 1), ('a', 1)",
}


@pytest.fixture
async def odd_tallies(connection: Connection) -> Connection:
    """A database whose `tallies` may hold what ours refuses."""
    await connection.execute("DROP TABLE tallies; CREATE TABLE tallies (vote TEXT, votes BIGINT, as_of TIMESTAMPTZ)")
    return connection


@pytest.mark.parametrize("rows", ODD_ROWS.values(), ids=ODD_ROWS)
async def test_rows_that_are_no_tally_are_not_shown_as_one(odd_tallies: Connection, rows: str) -> None:
    await odd_tallies.execute(f"INSERT INTO tallies VALUES {rows}")

    with pytest.raises(UnreadableTally):
        await read_tally(odd_tallies)


class Reading:
    """The reading of the tally, counted; `broken` makes it fail as asyncpg does now and then."""

    def __init__(self) -> None:
        self.times = 0
        self.broken: Exception | None = None

    async def __call__(self, *given: Any) -> Tally:
        self.times += 1
        if self.broken:
            raise self.broken
        return await read_tally(*given)

    async def more(self, times: int) -> None:
        wanted = self.times + times

        async def enough() -> bool:
            return self.times >= wanted

        await eventually_async(enough, within=30)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    reading = Reading()
    monkeypatch.setattr(watch, "read_tally", reading)
    monkeypatch.setattr(watch, "BACK_OFF_SECONDS", (0.01, 0.1))
    return reading


def reconnects() -> float:
    return REGISTRY.get_sample_value("reconnects_total", {"server": "postgresql"}) or 0.0


@pytest.mark.parametrize("columns", ODD_TABLES.values(), ids=ODD_TABLES)
async def test_the_service_goes_on_while_the_table_has_another_shape_and_says_so_once(
    reading: Reading, seen: Seen, connection: Connection, columns: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It shows what it knew last, which becomes stale, and goes on by itself when the table is right again."""
    await seen.until({})
    before = reconnects()
    async with connection.transaction():
        await connection.execute(f"ALTER TABLE tallies RENAME TO kept; CREATE TABLE tallies ({columns})")
        await connection.execute("INSERT INTO tallies (vote) VALUES (DEFAULT)")
    await reading.more(2)
    shown = len(seen.tallies)
    await reading.more(3)
    assert len(seen.tallies) == shown
    assert capsys.readouterr().out.count("waiting_for_postgresql") == 1

    await connection.execute("DROP TABLE tallies; ALTER TABLE kept RENAME TO tallies")
    await insert(connection, "v", "a")
    await seen.until({"a": 1})
    assert reconnects() - before == 1


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalClientError("got result for unknown protocol state 3"),
        asyncpg.ProtocolError("unexpected"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.ConnectionDoesNotExistError("gone"),
        UnreadableTally("told to fail"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_asyncpg_says_of_a_connection_that_was_cut_the_watcher_connects_again(
    reading: Reading, seen: Seen, connection: Connection, error: Exception
) -> None:
    """Its InternalClientError is none of PostgreSQL's errors, and comes when a backend is terminated."""
    await seen.until({})
    reading.broken = error
    await reading.more(2)
    reading.broken = None

    await insert(connection, "v", "a")
    await seen.until({"a": 1})

"""The result service's routes and its board."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from common.ballot import Ballot, Option
from common.health import Health
from common.settings import Settings
from result.app import create_app
from result.board import STALE_SECONDS, Board
from result.tally import Tally, snapshot
from result.viewers import Viewers

pytestmark = pytest.mark.platform

BALLOT = Ballot.of((Option("a", "Cats"), Option("b", "Dogs")))


def tally(votes: dict[str, int], *, age: float = 0.0) -> Tally:
    read_at = datetime.now(UTC) - timedelta(seconds=age)
    return Tally(votes, read_at if votes else None, read_at)


@pytest.fixture
def board() -> Board:
    return Board(BALLOT, Viewers())


@pytest.fixture
def app(board: Board) -> Quart:
    return create_app(Settings(), board, Health({"tally": board.check}))


@pytest.fixture
def client(app: Quart) -> Client:
    return app.test_client()


def test_percentages_have_one_decimal_and_zero_votes_are_no_error() -> None:
    thirds = snapshot(tally({"a": 1, "b": 2}), BALLOT)
    none = snapshot(tally({}), BALLOT)

    assert [option["percent"] for option in thirds["options"]] == [33.3, 66.7]
    assert [option["percent"] for option in none["options"]] == [0.0, 0.0]
    assert (none["total"], none["as_of"]) == (0, None)


def test_votes_for_an_option_that_left_the_ballot_are_still_shown() -> None:
    shown = snapshot(tally({"a": 1, "q": 3}), BALLOT)

    assert shown["options"][-1] == {"key": "q", "label": "Q", "votes": 3, "percent": 75.0}
    assert shown["total"] == sum(option["votes"] for option in shown["options"])


async def test_the_tally_is_told_to_programs(client: Client, board: Board) -> None:
    board.show(tally({"b": 2}))

    told = await (await client.get("/api/tally")).get_json()

    assert [(option["key"], option["votes"]) for option in told["options"]] == [("a", 0), ("b", 2)]
    assert told == board.snapshot()


async def test_the_tally_is_told_as_csv(client: Client, board: Board) -> None:
    board.show(tally({"b": 2}))

    response = await client.get("/api/tally.csv")

    rows = list(csv.DictReader(io.StringIO(await response.get_data(as_text=True))))
    assert rows[1] == {"key": "b", "label": "Dogs", "votes": "2", "percent": "100.0"}
    assert response.mimetype == "text/csv"


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
async def test_no_cell_of_the_csv_is_a_formula(sign: str) -> None:
    """A spreadsheet would run it; programs get the label with an apostrophe before it, and everything else as it is."""
    formula = f'{sign}HYPERLINK("http://elsewhere.example","a, b")'
    ballot = Ballot.of((Option("a", formula), Option("b", "2 = 2, really")))
    board = Board(ballot, Viewers())
    board.show(tally({"a": 2, "b": 1, sign: 1}))

    response = await create_app(Settings(), board, Health()).test_client().get("/api/tally.csv")

    rows = list(csv.DictReader(io.StringIO(await response.get_data(as_text=True), newline="")))
    assert [(row["key"], row["label"], row["votes"]) for row in rows] == [
        ("a", f"'{formula}", "2"),
        ("b", "2 = 2, really", "1"),
        (f"'{sign}", f"'{sign}", "1"),
    ]


@pytest.mark.parametrize("path", ["/api/tally", "/api/tally.csv"])
async def test_before_the_first_read_there_is_no_tally_to_tell(client: Client, path: str) -> None:
    response = await client.get(path)

    assert response.status_code == 503
    assert response.headers["Retry-After"]


async def test_the_dashboard_is_a_page_without_a_tally_too(client: Client) -> None:
    assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize(
    ("votes", "words"), [({}, "No votes yet"), ({"a": 1}, "1 vote"), ({"a": 1, "b": 1}, "2 votes")]
)
async def test_the_dashboard_counts_in_words(client: Client, board: Board, votes: dict[str, int], words: str) -> None:
    board.show(tally(votes))

    page = await (await client.get("/")).get_data(as_text=True)

    assert words in page


async def test_a_tally_read_long_ago_makes_the_service_not_ready(client: Client, board: Board) -> None:
    board.show(tally({"a": 1}))
    assert (await client.get("/readyz")).status_code == 200

    board.show(tally({"a": 1}, age=STALE_SECONDS + 1))

    assert (await client.get("/readyz")).status_code == 503


async def test_a_viewer_gets_the_tally_at_once_and_after_each_change(client: Client, board: Board) -> None:
    board.show(tally({"a": 1}))
    async with client.websocket("/ws") as viewer:
        first = json.loads(await viewer.receive())
        board.show(tally({"a": 2}))
        second = json.loads(await viewer.receive())

    assert (first["total"], second["total"]) == (1, 2)
    assert second == board.snapshot()


async def test_a_viewer_from_another_site_is_refused(client: Client) -> None:
    headers = {"Origin": "http://elsewhere.example", "Host": "localhost:5001"}
    with pytest.raises(Exception, match="403"):
        async with client.websocket("/ws", headers=headers) as viewer:
            await viewer.receive()


async def test_what_a_viewer_says_is_ignored(client: Client, board: Board) -> None:
    board.show(tally({"a": 1}))
    async with client.websocket("/ws") as viewer:
        await viewer.receive()
        for _ in range(100):
            await viewer.send("hello")
        board.show(tally({"a": 2}))

        assert json.loads(await viewer.receive())["total"] == 2

"""Ballots are numbered: the queue learns in which order a voter has voted, whichever service is slow."""

import json
import re
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from common.health import Health
from common.settings import Settings
from tests.fakes import FakeVoteQueue
from tests.unit.vote.test_admission import Pushed
from tests.unit.vote.test_codes import CODE, KEY, FakeRoll
from vote.admission import Admission
from vote.app import create_app
from vote.voter import HIGHEST_NUMBER, VOTER_COOKIE, VoterCookies, new_voter


async def number_on(page: Any) -> int:
    found = re.search(r'name="number" value="(\d+)"', await page.get_data(as_text=True))
    assert found
    return int(found[1])


def votes(queue: FakeVoteQueue) -> list[tuple[str, int, int | None]]:
    """Option, series and number of each vote."""
    messages = [json.loads(message) for message in queue.messages]
    return [(each["vote"], each.get("series", 0), each.get("number")) for each in messages]


@pytest.fixture
def browser(app: Quart) -> Client:
    return app.test_client()


async def test_every_look_at_the_ballot_gives_a_higher_number(browser: Client) -> None:
    """So a voter without scripts who gives up, reloads the page and votes has voted later than before."""
    numbers = [await number_on(await browser.get("/")) for _ in range(3)]

    assert numbers == [1, 2, 3]


async def test_the_vote_carries_the_number_of_its_page(browser: Client, queue: FakeVoteQueue) -> None:
    number = await number_on(await browser.get("/"))
    await browser.post("/", form={"vote": "a", "number": str(number + 4)})  # as the script does
    after = await number_on(await browser.get("/"))

    ((option, series, sent),) = votes(queue)
    assert (option, sent) == ("a", number + 4)
    assert series > 0
    assert after > number + 4


async def test_an_old_page_sends_its_old_number_and_the_browser_does_not_go_back(
    browser: Client, queue: FakeVoteQueue
) -> None:
    await browser.post("/", form={"vote": "a", "number": "9"})
    await browser.post("/", form={"vote": "b", "number": "2"})

    assert [number for _, _, number in votes(queue)] == [9, 2]
    assert await number_on(await browser.get("/")) == 10


async def test_a_program_that_keeps_its_cookies_is_numbered_by_them(browser: Client, queue: FakeVoteQueue) -> None:
    for option in "abc":
        await browser.post("/api/votes", json={"vote": option})

    numbers = [number or 0 for _, _, number in votes(queue)]
    assert numbers == sorted(set(numbers))
    assert len({series for _, series, _ in votes(queue)}) == 1


async def test_a_program_that_keeps_only_the_voters_cookie_has_no_numbers_unless_it_sends_them(
    app: Quart, queue: FakeVoteQueue
) -> None:
    """Then the order of the queue decides, as for the ancestor's messages; numbers of its own are one series."""
    voter = VoterCookies(Settings().secret_key).signed(new_voter())[VOTER_COOKIE]
    client = app.test_client(use_cookies=False)
    for more in ({}, {"number": 5}, {"number": None}, {"number": 6}):
        body = {"vote": "a"} | more
        await client.post("/api/votes", json=body, headers={"Cookie": f"{VOTER_COOKIE}={voter}"})

    assert votes(queue) == [("a", 0, None), ("a", 0, 5), ("a", 0, None), ("a", 0, 6)]


@pytest.mark.parametrize("number", [0, -1, HIGHEST_NUMBER + 1, 1.5, True, "7", [], {}])
async def test_what_is_no_number_is_refused(browser: Client, queue: FakeVoteQueue, number: object) -> None:
    response = await browser.post("/api/votes", json={"vote": "a", "number": number})

    assert response.status_code == 400
    assert (await response.get_json())["error"]["code"] == "malformed_number"
    assert queue.messages == []


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "", "x", "9" * 30, "²"])
async def test_what_is_no_number_in_a_form_is_refused(browser: Client, queue: FakeVoteQueue, number: str) -> None:
    assert (await browser.post("/", form={"vote": "a", "number": number})).status_code == 400
    assert queue.messages == []


async def test_a_number_twice_is_refused(browser: Client) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    assert (await browser.post("/", data="vote=a&number=1&number=2", headers=headers)).status_code == 400


async def test_a_refused_vote_leaves_a_page_with_a_number_of_its_own(browser: Client, queue: FakeVoteQueue) -> None:
    await browser.get("/")
    queue.failing = True
    page = await browser.post("/", form={"vote": "a", "number": "4"})
    queue.failing = False

    assert page.status_code == 503
    assert await number_on(page) == 5


async def test_a_code_keeps_the_series_of_the_browser_it_is_typed_in(queue: FakeVoteQueue) -> None:
    """Two devices of one code are two series: between them the queue's order decides, on each its own numbers do."""
    admission = Admission(Settings(secret_key=KEY, voter_codes="on"), FakeRoll(CODE))
    app = create_app(Settings(secret_key=KEY, voter_codes="on"), Pushed(queue), Health(), admission=admission)
    phone, laptop = app.test_client(), app.test_client()
    for client in (phone, laptop, phone):
        number = await number_on(await client.get("/"))
        await client.post("/", form={"vote": "a", "code": CODE, "number": str(number)})

    (_, first, one), (_, second, _), (_, third, three) = votes(queue)
    assert first == third != second
    assert (one or 0) < (three or 0)


async def test_the_highest_number_is_not_exceeded(browser: Client, queue: FakeVoteQueue) -> None:
    for _ in range(2):
        await browser.post("/api/votes", json={"vote": "a", "number": HIGHEST_NUMBER})
        await browser.post("/api/votes", json={"vote": "b"})

    assert {number for _, _, number in votes(queue)} == {HIGHEST_NUMBER}
    assert await number_on(await browser.get("/")) == HIGHEST_NUMBER

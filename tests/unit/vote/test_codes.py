"""Codes: where they are asked for, one code is one vote, wherever and however it is typed."""

import json
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from common.health import Health
from common.settings import Settings
from common.vote_queue import NotPushed
from common.voter_roll import ALPHABET, new_code, voter_of_code
from tests.fakes import FakeVoteQueue
from tests.unit.vote.test_admission import NEIGHBOUR, PEER, Pushed
from vote.admission import Admission
from vote.app import create_app

KEY = "a key for this test"
CODE, OTHER = "7Q2M-0XKV-9RT1", "ABCD-EFGH-JKMN"


class FakeRoll:
    def __init__(self, *codes: str) -> None:
        self.voters = {voter_of_code(KEY, code) for code in codes}
        self.failing = False
        self.questions = 0

    async def has(self, voter_id: str) -> bool:
        self.questions += 1
        if self.failing:
            raise NotPushed("Redis: told to fail")
        return voter_id in self.voters


@pytest.fixture
def roll() -> FakeRoll:
    return FakeRoll(CODE, OTHER)


@pytest.fixture
def coded(queue: FakeVoteQueue, roll: FakeRoll) -> Quart:
    settings = Settings(secret_key=KEY, voter_codes="on")
    return create_app(settings, Pushed(queue), Health(), admission=Admission(settings, roll))


@pytest.fixture
def browser(coded: Quart) -> Client:
    return coded.test_client()


def voters(queue: FakeVoteQueue) -> list[str]:
    return [json.loads(message)["voter_id"] for message in queue.messages]


async def cast(client: Client, path: str, **fields: str) -> Any:
    return await client.post(path, **({"json": fields} if path == "/api/votes" else {"form": fields}))


@pytest.mark.parametrize("path", ["/", "/api/votes"])
async def test_without_a_code_nobody_votes(browser: Client, queue: FakeVoteQueue, path: str) -> None:
    await browser.get("/")

    response = await cast(browser, path, vote="a")

    assert response.status_code == 403
    assert "needs a code" in await response.get_data(as_text=True)
    assert queue.messages == []


@pytest.mark.parametrize("path", ["/", "/api/votes"])
async def test_a_wrong_code_is_told_and_stays_in_the_form(browser: Client, queue: FakeVoteQueue, path: str) -> None:
    response = await cast(browser, path, vote="a", code='7Q2M-"WRONG"')

    assert response.status_code == 403
    text = await response.get_data(as_text=True)
    assert "not valid" in text
    assert path != "/" or 'value="7Q2M-&#34;WRONG&#34;"' in text
    assert queue.messages == []


@pytest.mark.parametrize("path", ["/", "/api/votes"])
async def test_a_code_votes_and_the_browser_needs_it_once(browser: Client, queue: FakeVoteQueue, path: str) -> None:
    accepted = 303 if path == "/" else 202
    assert (await cast(browser, path, vote="a", code=CODE)).status_code == accepted
    assert (await cast(browser, path, vote="b")).status_code == accepted

    assert voters(queue) == [voter_of_code(KEY, CODE)] * 2
    assert 'is-chosen" name="vote" value="b"' in await (await browser.get("/")).get_data(as_text=True)


async def test_the_same_code_on_two_devices_is_one_voter(coded: Quart, queue: FakeVoteQueue) -> None:
    await cast(coded.test_client(), "/", vote="a", code=CODE)
    await cast(coded.test_client(), "/api/votes", vote="b", code=CODE)

    assert len(set(voters(queue))) == 1


async def test_two_codes_on_one_device_are_two_voters(browser: Client, queue: FakeVoteQueue) -> None:
    await cast(browser, "/", vote="a", code=CODE)
    await cast(browser, "/", vote="a", code=OTHER)

    assert voters(queue) == [voter_of_code(KEY, CODE), voter_of_code(KEY, OTHER)]


@pytest.mark.parametrize("typed", ["7q2m0xkv9rt1", " 7Q2M 0XKV 9RT1 ", "7Q2M-OXKV-9RTI", "7q2m-oxkv-9rtl"])
async def test_a_code_may_be_typed_as_people_type(browser: Client, queue: FakeVoteQueue, typed: str) -> None:
    assert (await cast(browser, "/", vote="a", code=typed)).status_code == 303
    assert voters(queue) == [voter_of_code(KEY, CODE)]


@pytest.mark.parametrize("code", [None, 7, ["x"], {}, "", "\ud800", "\0"])
async def test_what_is_no_code_at_all_is_refused(browser: Client, queue: FakeVoteQueue, code: object) -> None:
    response = await browser.post(
        "/api/votes", data=json.dumps({"vote": "a", "code": code}), headers={"Content-Type": "application/json"}
    )

    # text may be a code, and is looked for on the roll; anything else is malformed
    assert response.status_code == (403 if isinstance(code, str) else 400)
    assert (await response.get_json())["error"]["message"]
    assert queue.messages == []


async def test_a_code_that_was_made_void_votes_no_more_cookie_or_not(
    browser: Client, queue: FakeVoteQueue, roll: FakeRoll
) -> None:
    await cast(browser, "/", vote="a", code=CODE)
    roll.voters.clear()

    assert (await cast(browser, "/", vote="b")).status_code == 403
    assert (await cast(browser, "/", vote="b", code=CODE)).status_code == 403
    assert len(queue.messages) == 1


async def test_while_the_roll_can_not_be_read_the_vote_is_not_recorded_for_certain(
    browser: Client, queue: FakeVoteQueue, roll: FakeRoll
) -> None:
    roll.failing = True

    response = await cast(browser, "/api/votes", vote="a", code=CODE)

    assert response.status_code == 503
    error = (await response.get_json())["error"]
    assert error["code"] == "queue_unavailable"
    assert "was not recorded" in error["message"]
    assert queue.messages == []


async def test_where_no_codes_are_asked_for_the_field_means_nothing(app: Quart, queue: FakeVoteQueue) -> None:
    browser = app.test_client()
    assert 'name="code"' not in await (await browser.get("/")).get_data(as_text=True)

    assert (await cast(browser, "/api/votes", vote="a", code="whatever")).status_code == 202
    assert (await cast(browser, "/", vote="a", code="whatever")).status_code == 303


async def test_the_ballot_asks_for_the_code_without_any_script(browser: Client) -> None:
    page = await (await browser.get("/")).get_data(as_text=True)

    assert '<label for="code">Your code</label>' in page
    assert 'name="code"' in page
    assert "One vote for each code." in page


def test_a_code_can_not_be_guessed_nor_tried_without_the_key() -> None:
    codes = {new_code() for _ in range(1000)}

    assert len(codes) == 1000
    assert len(ALPHABET) ** 12 >= 2**60
    assert voter_of_code("another key of somebody", CODE) != voter_of_code(KEY, CODE)


def limited(queue: FakeVoteQueue, roll: FakeRoll, **limits: int) -> Client:
    """A sender without cookies, where codes are asked for."""
    settings = Settings(secret_key=KEY, voter_codes="on", **limits)
    app = create_app(settings, Pushed(queue), Health(), admission=Admission(settings, roll))
    return app.test_client(use_cookies=False)


async def post(client: Client, code: str, peer: dict[str, Any] = PEER) -> int:
    return (await client.post("/api/votes", json={"vote": "a", "code": code}, scope_base=peer)).status_code


async def test_guessing_is_limited(queue: FakeVoteQueue, roll: FakeRoll) -> None:
    """A tenth of what an address may send may have a wrong code; the roll is asked no more, and neighbours may vote."""
    guesser = limited(queue, roll, limit_per_address=30)

    assert [await post(guesser, new_code()) for _ in range(5)] == [403, 403, 403, 429, 429]
    assert roll.questions == 3
    assert await post(guesser, CODE, NEIGHBOUR) == 202


async def test_many_people_with_codes_of_their_own_may_vote_from_one_address(
    queue: FakeVoteQueue, roll: FakeRoll
) -> None:
    hall = limited(queue, roll, limit_per_address=30)
    codes = [new_code() for _ in range(30)]
    roll.voters |= {voter_of_code(KEY, code) for code in codes}

    assert [await post(hall, code) for code in codes] == [202] * 30
    assert await post(hall, CODE) == 429


@pytest.mark.parametrize("code", [CODE, "N0T-0N-THE-R0LL"])
async def test_one_code_has_a_voters_limit_also_without_a_cookie(
    queue: FakeVoteQueue, roll: FakeRoll, code: str
) -> None:
    """The code is the voter; and beyond the limit not even the roll is asked."""
    sender = limited(queue, roll, limit_per_voter=3)

    answers = [await post(sender, code) for _ in range(5)]

    assert answers == [202 if code == CODE else 403] * 3 + [429] * 2
    assert roll.questions == 3
    assert await post(sender, OTHER) == 202


async def test_the_roll_is_not_asked_for_somebody_new_who_has_no_code(queue: FakeVoteQueue, roll: FakeRoll) -> None:
    assert await post(limited(queue, roll), "") == 403
    assert roll.questions == 0

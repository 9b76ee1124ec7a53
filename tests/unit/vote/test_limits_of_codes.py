"""Limits where codes are asked for: the code is the voter, and an address may send only so many wrong ones."""

from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client

from common.ops import Health
from common.roll import new_code, voter_of_code
from common.settings import Settings
from tests.fakes import FakeVoteQueue
from tests.unit.vote.test_codes import CODE, KEY, OTHER, FakeRoll
from tests.unit.vote.test_limits import NEIGHBOUR, PEER, Pushed
from vote.app import create_app
from vote.door import Door


@pytest.fixture
def roll() -> FakeRoll:
    return FakeRoll(CODE, OTHER)


def limited(queue: FakeVoteQueue, roll: FakeRoll, **limits: int) -> Client:
    """A sender without cookies, where codes are asked for."""
    settings = Settings(secret_key=KEY, voter_codes="on", **limits)
    return create_app(settings, Pushed(queue), Health(), door=Door(settings, roll)).test_client(use_cookies=False)


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

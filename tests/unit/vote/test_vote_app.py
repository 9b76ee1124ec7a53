"""The vote service's routes, with a queue in memory; what is not exactly one vote is refused, with the reason."""

import asyncio
import json
from datetime import datetime
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from tests.fakes import FakeVoteQueue

pytestmark = pytest.mark.platform

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def browser(app: Quart) -> Client:
    """Keeps its cookies."""
    return app.test_client()


def cast(queue: FakeVoteQueue) -> list[tuple[str, str]]:
    """What the queue holds: voter and option of each vote."""
    votes = [json.loads(message) for message in queue.messages]
    return [(vote["voter_id"], vote["vote"]) for vote in votes]


async def test_a_vote_by_the_form_is_queued_and_shown(browser: Client, queue: FakeVoteQueue) -> None:
    response = await browser.post("/", form={"vote": "a"})

    assert (response.status_code, response.location) == (303, "/")
    assert [option for _, option in cast(queue)] == ["a"]
    page = await (await browser.get("/")).get_data(as_text=True)
    assert "Your vote for <strong>Cats</strong> is recorded" in page


async def test_a_vote_by_the_api_is_queued_and_told(browser: Client, queue: FakeVoteQueue) -> None:
    response = await browser.post("/api/votes", json={"vote": "b"})

    receipt = await response.get_json()
    assert response.status_code == 202
    assert (receipt["vote"], receipt["label"]) == ("b", "<Dogs>")
    assert receipt["cast_at"].endswith("Z")
    assert [option for _, option in cast(queue)] == ["b"]


async def test_a_form_voter_is_told_when_its_vote_was_cast(browser: Client, queue: FakeVoteQueue) -> None:
    response = await browser.post("/", form={"vote": "a"})

    cast_at = datetime.fromisoformat(response.headers["X-Cast-At"])
    assert cast_at.timestamp() == json.loads(queue.messages[0])["cast_at"]


async def test_a_browser_stays_one_voter(browser: Client, queue: FakeVoteQueue) -> None:
    await browser.get("/")
    await browser.post("/", form={"vote": "a"})
    await browser.post("/api/votes", json={"vote": "b"})

    assert len({voter for voter, _ in cast(queue)}) == 1


async def test_two_first_votes_at_once_are_one_voters(browser: Client, queue: FakeVoteQueue) -> None:
    """Because looking at the ballot already makes a voter."""
    await browser.get("/")
    await asyncio.gather(browser.post("/", form={"vote": "a"}), browser.post("/", form={"vote": "b"}))

    assert len({voter for voter, _ in cast(queue)}) == 1


async def test_posts_without_cookies_are_a_voter_each(app: Quart, queue: FakeVoteQueue) -> None:
    for _ in range(3):
        await app.test_client(use_cookies=False).post("/", data="vote=a", headers=FORM)

    assert len({voter for voter, _ in cast(queue)}) == 3


async def test_a_forged_cookie_is_a_new_voter(app: Quart, browser: Client, queue: FakeVoteQueue) -> None:
    await browser.post("/", form={"vote": "a"})
    ((victim, _),) = cast(queue)
    forger = app.test_client(use_cookies=False)

    for cookie in (victim, f"{victim}.", f"{victim}.c2lnbmF0dXJl", "", "x" * 3000):
        await forger.post("/", data="vote=b", headers={**FORM, "Cookie": f"voter_id={cookie}"})

    assert [option for voter, option in cast(queue) if voter == victim] == ["a"]
    assert len(queue.messages) == 6


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://localhost:5000"}, {"Sec-Fetch-Site": "same-origin"}])
async def test_our_own_page_and_programs_may_vote(app: Quart, headers: dict[str, str]) -> None:
    response = await app.test_client().post(
        "/api/votes", json={"vote": "a"}, headers={"Host": "localhost:5000"} | headers
    )

    assert response.status_code == 202


@pytest.mark.parametrize(("path", "body"), [("/", {"form": {"vote": "a"}}), ("/api/votes", {"json": {"vote": "a"}})])
async def test_a_vote_that_is_not_known_to_be_queued_is_not_said_to_be(
    browser: Client, queue: FakeVoteQueue, path: str, body: dict[str, Any]
) -> None:
    await browser.post("/", form={"vote": "b"})
    queue.failing = True

    response = await browser.post(path, **body)

    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert "vote again" in await response.get_data(as_text=True)
    page = await (await browser.get("/")).get_data(as_text=True)
    assert "<strong>&lt;Dogs&gt;</strong>" in page  # still the vote that was


@pytest.mark.parametrize(("path", "body"), [("/", {"form": {"vote": "a"}}), ("/api/votes", {"json": {"vote": "a"}})])
async def test_a_first_vote_in_doubt_is_cast_again_by_the_same_voter(
    browser: Client, queue: FakeVoteQueue, path: str, body: dict[str, Any]
) -> None:
    """The answer is lost, the vote is not: the voter must not count twice."""
    queue.losing_answers = True
    assert (await browser.post(path, **body)).status_code == 503
    queue.losing_answers = False

    await browser.post(path, **body)

    assert len(queue.messages) == 2
    assert len({voter for voter, _ in cast(queue)}) == 1


async def test_under_https_the_cookies_are_secure(app: Quart) -> None:
    response = await app.test_client().get("/", scheme="https")

    assert "Secure" in response.headers["Set-Cookie"]


async def test_the_ballot_is_told_to_programs(browser: Client) -> None:
    ballot = await (await browser.get("/api/ballot")).get_json()

    assert ballot["question"] == "Cats, <Dogs> or Birds?"
    assert ballot["options"][1] == {"key": "b", "label": "<Dogs>"}


async def test_labels_are_text_in_the_page(browser: Client) -> None:
    page = await (await browser.get("/")).get_data(as_text=True)

    assert "<Dogs>" not in page
    assert "&lt;Dogs&gt;" in page


async def test_the_ballot_leads_to_the_dashboard_on_the_same_host(browser: Client) -> None:
    page = await (await browser.get("/", headers={"Host": "poll.example:5000"})).get_data(as_text=True)

    assert 'href="http://poll.example:5001/"' in page


REFUSED: list[tuple[str, dict[str, str], bytes, int, str]] = [
    ("/api/votes", JSON, b'{"vote": "z"}', 400, "unknown_option"),
    ("/api/votes", JSON, b'{"vote": "A"}', 400, "unknown_option"),
    ("/api/votes", JSON, b'{"vote": 1}', 400, "unknown_option"),
    ("/api/votes", JSON, b'{"vote": null}', 400, "unknown_option"),
    ("/api/votes", JSON, b"{}", 400, "missing_field"),
    ("/api/votes", JSON, b'{"vote": "a", "vote": "b"}', 400, "duplicate_field"),
    ("/api/votes", JSON, b"", 400, "malformed_json"),
    ("/api/votes", JSON, b"[]", 400, "malformed_json"),
    ("/api/votes", JSON, b'{"vote": "a"', 400, "malformed_json"),
    ("/api/votes", JSON, b"\xff", 400, "malformed_json"),
    ("/api/votes", JSON, b"[" * 4000, 400, "malformed_json"),
    ("/api/votes", JSON, b'{"vote": "a", "x": "' + b"x" * 5000 + b'"}', 413, "too_large"),
    ("/api/votes", FORM, b"vote=a", 415, "unsupported_type"),
    ("/api/votes", {}, b'{"vote": "a"}', 415, "unsupported_type"),
    ("/api/votes", JSON | {"Origin": "http://elsewhere.example"}, b'{"vote": "a"}', 403, "foreign_origin"),
    ("/api/votes", JSON | {"Origin": "null"}, b'{"vote": "a"}', 403, "foreign_origin"),
    ("/api/votes", JSON | {"Origin": "http://localhost:5001"}, b'{"vote": "a"}', 403, "foreign_origin"),
    ("/api/votes", JSON | {"Sec-Fetch-Site": "cross-site"}, b'{"vote": "a"}', 403, "foreign_origin"),
    ("/", FORM, b"vote=z", 400, "unknown option"),
    ("/", FORM, b"vote=", 400, "unknown option"),
    ("/", FORM, b"", 400, "missing field"),
    ("/", FORM, b"vote=a&vote=a", 400, "duplicate field"),
    ("/", FORM, b"vote=%ff", 400, "malformed form"),
    ("/", FORM, b"vote=a&x=" + b"x" * 5000, 413, "too large"),
    ("/", JSON, b'{"vote": "a"}', 415, "unsupported type"),
    ("/", FORM | {"Origin": "http://elsewhere.example"}, b"vote=a", 403, "foreign origin"),
]


@pytest.mark.parametrize(("path", "headers", "body", "status", "code"), REFUSED)
async def test_what_is_not_one_vote_from_our_page_is_refused_with_its_reason(
    app: Quart, queue: FakeVoteQueue, path: str, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    response = await app.test_client().post(path, data=body, headers={"Host": "localhost:5000"} | headers)

    assert response.status_code == status
    assert queue.messages == []
    if path == "/api/votes":
        error = (await response.get_json())["error"]
        assert error["code"] == code
        assert error["message"]
    else:
        page = await response.get_data(as_text=True)
        assert "<!doctype html>" in page.lower()

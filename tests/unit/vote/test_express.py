"""The express lane answers exactly as the application behind it would, or leaves it to that."""

import json
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

HOST = {"Host": "poll.example:5000"}
FORM = HOST | {"Content-Type": "application/x-www-form-urlencoded"}
JSON = HOST | {"Content-Type": "application/json"}
# Each request as it is plain, and what makes the same request take the other way.
OTHER_WAY = "?anything"

PLAIN: list[tuple[str, str, dict[str, str], bytes]] = [
    ("POST", "/", FORM, b"vote=a"),
    ("POST", "/", FORM | {"Origin": "http://poll.example:5000"}, b"vote=b&more=1"),
    ("POST", "/api/votes", JSON, b'{"vote": "b"}'),
    ("POST", "/api/votes", JSON | {"Sec-Fetch-Site": "same-origin"}, b'{"vote": "a", "more": [1]}'),
    ("GET", "/", HOST, b""),
]
REFUSED = [
    ("POST", "/", FORM, b"vote=z"),
    ("POST", "/", FORM, b"nothing"),
    ("POST", "/api/votes", JSON, b'{"vote": "z"}'),
    ("POST", "/api/votes", JSON, b"{"),
]
NOT_PLAIN = [
    ("POST", "/", FORM | {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, b"vote=a"),
    ("POST", "/api/votes", JSON | {"Content-Type": "Application/JSON"}, b'{"vote": "a"}'),
    ("POST", "/", FORM | {"Origin": "HTTP://Poll.example:5000"}, b"vote=a"),
    ("HEAD", "/", HOST, b""),
]


class Behind:
    """Whether the application behind the lane was asked."""

    def __init__(self, app: Any) -> None:
        self.asked = 0
        self._app = app

    async def __call__(self, *request: Any) -> None:
        self.asked += 1
        await self._app(*request)


@pytest.fixture
def behind(app: Quart) -> Behind:
    lane: Any = app.asgi_app
    lane._app = Behind(lane._app)
    watched: Behind = lane._app
    return watched


async def ask(client: Client, method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
    opener: Any = client.open
    return await opener(path, method=method, headers=headers, data=body or None)


async def told(response: Any) -> tuple[int, list[tuple[str, str]], bytes]:
    """An answer without what differs from vote to vote: the time and the voter."""
    body = await response.get_data(as_text=False)
    cast_at = response.headers.get("X-Cast-At") or (json.loads(body).get("cast_at") if body[:1] == b"{" else None)
    headers = [(name.lower(), value) for name, value in response.headers.items() if name.lower() != "x-cast-at"]
    cookies = [(name, value.partition("=")[0] + value.partition(";")[2]) for name, value in headers if "cookie" in name]
    others = [(name, value) for name, value in headers if "cookie" not in name]
    return response.status_code, sorted(others + cookies), body.replace((cast_at or "no time").encode(), b"")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(("method", "path", "headers", "body"), [*PLAIN, *REFUSED], ids=str)
async def test_both_ways_give_the_same_answer(
    app: Quart, method: str, path: str, headers: dict[str, str], body: bytes, scheme: str
) -> None:
    if "Origin" in headers:
        headers = headers | {"Origin": f"{scheme}://poll.example:5000"}
    answers = []
    for way in ("", OTHER_WAY):
        client: Any = app.test_client()
        await client.get("/", headers=HOST, scheme=scheme)
        await client.post("/", headers=FORM, data=b"vote=c", scheme=scheme)
        answers.append(
            await told(await client.open(path + way, method=method, headers=headers, data=body or None, scheme=scheme))
        )

    assert answers[0] == answers[1]


@pytest.mark.parametrize(("method", "path", "headers", "body"), PLAIN, ids=str)
async def test_what_is_plain_takes_the_lane(
    app: Quart, behind: Behind, method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    client = app.test_client()
    await client.get("/", headers=HOST)  # the page is made by the application, once
    behind.asked = 0

    response = await ask(client, method, path, headers, body)

    assert response.status_code in (200, 202, 303)
    assert behind.asked == 0


@pytest.mark.parametrize(("method", "path", "headers", "body"), NOT_PLAIN, ids=str)
async def test_what_is_not_plain_is_answered_by_the_application(
    app: Quart, behind: Behind, method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    response = await ask(app.test_client(), method, path, headers, body)

    assert response.status_code in (200, 202, 303)
    assert behind.asked == 1


async def test_a_header_that_is_there_twice_is_not_plain(app: Quart, behind: Behind) -> None:
    headers = [*FORM.items(), ("Origin", "http://poll.example:5000"), ("Origin", "http://evil.example")]
    client: Any = app.test_client()
    await client.post("/", headers=headers, data=b"vote=a")

    assert behind.asked == 1

"""What the express lane keeps, counts, and leaves alone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import REGISTRY
from quart import Quart
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

from common.ops import Health
from common.settings import Settings
from common.web import MAX_BODY_BYTES
from tests.fakes import FakeVoteQueue
from vote.app import create_app
from vote.plain import read_all
from vote.pusher import VotePusher
from vote.voter import Voter

FORM = {"Host": "poll.example:5000", "Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Host": "poll.example:5000", "Content-Type": "application/json"}


async def test_a_page_is_not_shown_to_whom_it_does_not_fit(app: Quart) -> None:
    """Pages that are kept differ by choice, and by the host that their links lead to."""
    cats, dogs = app.test_client(), app.test_client()
    for client, vote in ((cats, b"vote=a"), (dogs, b"vote=b")):
        await client.post("/", headers=FORM, data=vote)

    for _ in range(2):
        for client, label in ((cats, "Cats"), (dogs, "&lt;Dogs&gt;")):
            for host in ("poll.example", "other.example"):
                page = await (await client.get("/", headers={"Host": host})).get_data(as_text=True)
                assert f"Your vote for <strong>{label}</strong>" in page
                assert f'href="http://{host}:5001/"' in page


async def test_hosts_that_clients_write_do_not_fill_the_memory(app: Quart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vote.page.MOST_KEPT", 3)
    lane: Any = app.asgi_app

    for number in range(10):
        await app.test_client().get("/", headers={"Host": f"host-{number}.example"})

    assert len(lane._pages._kept) <= 3


async def test_for_a_host_that_is_none_no_page_is_known(app: Quart) -> None:
    lane: Any = app.asgi_app

    assert lane._pages.known(Voter("somebody"), "http", "[::1") is None


async def test_a_refused_vote_is_counted_at_the_door_once(queue: FakeVoteQueue) -> None:
    app = create_app(Settings(limit_per_address=4), Pushing(queue), Health())
    client: Any = app.test_client(use_cookies=False)
    stranger = {"client": ("203.0.113.66", 4711)}

    answers = [
        (await client.post("/api/votes", headers=JSON, data=b'{"vote": "z"}', scope_base=stranger)).status_code
        for _ in range(5)
    ]

    assert answers == [400] * 4 + [429]


class Pushing:
    """Pushes each vote by itself."""

    def __init__(self, queue: FakeVoteQueue) -> None:
        self._queue = queue

    async def push(self, message: bytes) -> None:
        await self._queue.push([message])


def counted(method: str, route: str, status: str) -> float:
    labels = {"method": method, "route": route, "status": status}
    return REGISTRY.get_sample_value("http_requests_total", labels) or 0


@pytest.mark.parametrize(("body", "status"), [(b'{"vote": "a"}', "202"), (b'{"vote": "z"}', "400")])
async def test_every_request_is_counted_once(app: Quart, body: bytes, status: str) -> None:
    before = counted("POST", "/api/votes", status)

    await app.test_client().post("/api/votes", headers=JSON, data=body)

    assert counted("POST", "/api/votes", status) == before + 1


async def read(*messages: dict[str, Any]) -> bytes | None:
    """What is read of these messages of a server, after which none comes."""
    left = list(messages)

    async def receive() -> Any:
        return left.pop(0) if left else await asyncio.Event().wait()

    return await read_all(receive)


def part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_may_come_in_parts() -> None:
    assert (
        await read(part(b'{"vote"', more=True), part(b': "a"}', more=True), part(b"", more=False)) == b'{"vote": "a"}'
    )


async def test_a_body_is_read_no_further_than_it_may_be_long() -> None:
    with pytest.raises(RequestEntityTooLarge):
        await read(part(b"x" * MAX_BODY_BYTES, more=True), part(b"x", more=True))


async def test_a_body_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vote.plain.BODY_SECONDS", 0.02)

    with pytest.raises(RequestTimeout):
        await read(part(b"x", more=True))


async def test_who_has_gone_has_no_body() -> None:
    assert await read(part(b"x", more=True), {"type": "http.disconnect"}) is None


@pytest.fixture
async def with_codes(queue: FakeVoteQueue) -> AsyncIterator[Quart]:
    pusher = VotePusher(queue)
    running = asyncio.create_task(pusher.run())
    yield create_app(Settings(voter_codes="on"), pusher, Health())
    running.cancel()


@pytest.mark.parametrize(("path", "headers", "body"), [("/", FORM, b"vote=a"), ("/api/votes", JSON, b'{"vote": "a"}')])
async def test_where_codes_are_asked_for_nobody_passes_by_the_lane(
    with_codes: Quart, queue: FakeVoteQueue, path: str, headers: dict[str, str], body: bytes
) -> None:
    response = await with_codes.test_client().post(path, headers=headers, data=body)

    assert response.status_code == 403
    assert queue.messages == []

"""The path of a vote over HTTP: however a request is written, one piece of code answers it, and always the same."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import REGISTRY
from quart import Quart

from common.errors import Refused
from common.health import Health
from common.settings import Settings
from common.web import MAX_BODY_BYTES
from tests.fakes import FakeVoteQueue
from tests.unit.vote.test_admission import Pushed
from tests.waiting import eventually_async
from vote.app import create_app
from vote.pusher import VotePusher
from vote.routes import ClientGone, Exchange
from vote.voter import Poll

pytestmark = pytest.mark.platform

HOST = {"Host": "poll.example:5000"}
FORM = HOST | {"Content-Type": "application/x-www-form-urlencoded"}
JSON = HOST | {"Content-Type": "application/json"}

# Each request as it is usually written, and other ways to write it.
SAME: list[tuple[str, str, dict[str, str], bytes, list[tuple[str, dict[str, str]]]]] = [
    ("POST", "/", FORM, b"vote=a", [
        ("?anything", {}),
        ("", {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}),
        ("", {"Content-Type": "Application/X-WWW-Form-Urlencoded"}),
        ("", {"Origin": "http://poll.example:5000"}),
        ("", {"Origin": "http://Poll.Example:5000", "Sec-Fetch-Site": "same-origin"}),
        ("", {"Accept": "application/json"}),
    ]),
    ("POST", "/api/votes", JSON, b'{"vote": "b"}', [
        ("?", {}),
        ("", {"Content-Type": "application/json;charset=UTF-8"}),
        ("", {"Accept": "text/html"}),
        ("", {"Sec-Fetch-Site": "none"}),
    ]),
    ("POST", "/", FORM, b"vote=z", [("?a=b", {}), ("", {"Accept": "application/json"})]),
    ("POST", "/api/votes", JSON, b"{", [("?a=b", {}), ("", {"Accept": "text/html"})]),
    ("GET", "/", HOST, b"", [("?a=b", {}), ("", {"Accept": "application/json"})]),
]  # fmt: skip


async def told(app: Quart, method: str, path: str, headers: dict[str, str], body: bytes, scheme: str) -> Any:
    """An answer without what differs from vote to vote: the time, and the signatures."""
    client: Any = app.test_client()
    await client.get("/", headers=HOST, scheme=scheme)
    await client.post("/", headers=FORM, data=b"vote=c", scheme=scheme)
    response = await client.open(path, method=method, headers=headers, data=body or None, scheme=scheme)
    text = await response.get_data(as_text=False)
    cast_at = response.headers.get("X-Cast-At") or (json.loads(text).get("cast_at") if text[:1] == b"{" else None)
    fields = sorted(
        (name.lower(), value.partition("=")[0] + value.partition(";")[2] if "cookie" in name.lower() else value)
        for name, value in response.headers.items()
        if name.lower() != "x-cast-at"
    )
    return response.status_code, fields, text.replace((cast_at or "no time").encode(), b"")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(("method", "path", "headers", "body", "others"), SAME, ids=str)
async def test_however_a_request_is_written_its_answer_is_the_same(
    app: Quart,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    others: list[tuple[str, dict[str, str]]],
    scheme: str,
) -> None:
    usual = await told(app, method, path, headers, body, scheme)

    for query, more in others:
        if "Origin" in more:
            more = more | {"Origin": more["Origin"].replace("http", scheme)}
        assert await told(app, method, path + query, headers | more, body, scheme) == usual


async def test_head_is_get_without_the_page(app: Quart) -> None:
    client: Any = app.test_client()

    response = await client.head("/", headers=HOST)

    assert response.status_code == 200
    assert int(response.headers["Content-Length"]) > 1000


@pytest.mark.parametrize(("method", "path", "allowed"), [("PUT", "/", "GET"), ("GET", "/api/votes", "POST")])
async def test_other_methods_are_told_which_there_are(app: Quart, method: str, path: str, allowed: str) -> None:
    client: Any = app.test_client()

    response = await client.open(path, method=method, headers=HOST)

    assert response.status_code == 405
    assert allowed in response.headers["Allow"]


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
    """A page is made once and kept, until there are too many others."""
    monkeypatch.setattr("vote.page.MOST_CACHED", 3)
    template = app.jinja_env.template_class
    render = template.render_async
    made: list[str] = []

    async def render_and_note(self: Any, **values: Any) -> str:
        made.append("a page")
        return await render(self, **values)

    monkeypatch.setattr(template, "render_async", render_and_note)
    for host, pages in (("a", 1), ("b", 2), ("c", 3), ("a", 3), ("b", 3), ("c", 3), ("d", 4), ("a", 5)):
        await app.test_client().get("/", headers={"Host": f"{host}.example"})
        assert len(made) == pages


async def test_a_refused_vote_is_counted_at_the_door_once(queue: FakeVoteQueue) -> None:
    app = create_app(Settings(limit_per_address=4), Pushed(queue), Health())
    client: Any = app.test_client(use_cookies=False)
    stranger = {"client": ("203.0.113.66", 4711)}

    answers = [
        (await client.post("/api/votes", headers=JSON, data=b'{"vote": "z"}', scope_base=stranger)).status_code
        for _ in range(5)
    ]

    assert answers == [400] * 4 + [429]


def measured(method: str, route: str, status: str) -> tuple[float, float]:
    """How many requests were answered so, and the seconds that all of this method and route took."""
    labels = {"method": method, "route": route}
    count = REGISTRY.get_sample_value("http_requests_total", labels | {"status": status})
    return count or 0, REGISTRY.get_sample_value("http_request_duration_seconds_sum", labels) or 0


@pytest.mark.parametrize(("body", "status"), [(b'{"vote": "a"}', "202"), (b'{"vote": "z"}', "400")])
async def test_every_request_is_counted_once(app: Quart, body: bytes, status: str) -> None:
    before, _ = measured("POST", "/api/votes", status)

    await app.test_client().post("/api/votes", headers=JSON, data=body)

    assert measured("POST", "/api/votes", status)[0] == before + 1


HANGING_SECONDS = 0.05


class Hanging:
    """A way to the queue that takes its time, and fails."""

    def __init__(self, queue: FakeVoteQueue) -> None:
        self._queue = queue

    async def push(self, message: bytes, **_: object) -> None:
        answered = asyncio.Event()
        asyncio.get_running_loop().call_later(HANGING_SECONDS, answered.set)
        await answered.wait()
        await self._queue.push([message])


async def test_a_vote_in_doubt_is_measured_from_its_arrival(queue: FakeVoteQueue) -> None:
    """In an outage the time that voters wait is what one wants to know."""
    queue.failing = True
    app = create_app(Settings(), Hanging(queue), Health())
    _, before = measured("POST", "/api/votes", "503")

    response = await app.test_client().post("/api/votes", headers=JSON, data=b'{"vote": "a"}')

    assert response.status_code == 503
    assert measured("POST", "/api/votes", "503")[1] - before >= HANGING_SECONDS


async def test_an_error_that_nobody_foresaw_tells_its_sender_nothing_of_our_inside(queue: FakeVoteQueue) -> None:
    class Broken:
        async def push(self, message: bytes, **_: object) -> None:
            raise RuntimeError("secret")

    app = create_app(Settings(), Broken(), Health())
    for path, headers, body in (("/", FORM, b"vote=a"), ("/api/votes", JSON, b'{"vote": "a"}')):
        response = await app.test_client().post(path, headers=headers, data=body)
        assert response.status_code == 500
        assert "secret" not in await response.get_data(as_text=True)


class Connection:
    """A client's connection, as ASGI shows it: these messages, and then nothing."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._messages: asyncio.Queue[Any] = asyncio.Queue()
        for message in messages:
            self._messages.put_nowait(message)

    async def receive(self) -> Any:
        return await self._messages.get()

    def close(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    def exchange(self, *headers: tuple[bytes, bytes]) -> Exchange:
        scope: Any = {"type": "http", "headers": headers, "scheme": "http"}
        unused: Any = None
        return Exchange(scope, self.receive, unused)


def part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_may_come_in_parts() -> None:
    parts = Connection(part(b'{"vote"', more=True), part(b': "a"}', more=True), part(b"", more=False))

    assert await parts.exchange().read_body() == b'{"vote": "a"}'


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"4097")]])
async def test_a_body_is_read_no_further_than_it_may_be_long(headers: list[tuple[bytes, bytes]]) -> None:
    long = Connection(part(b"x" * MAX_BODY_BYTES, more=True), part(b"x", more=True))

    with pytest.raises(Refused) as refused:
        await long.exchange(*headers).read_body()

    assert refused.value.status == 413


async def test_a_body_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vote.routes.BODY_SECONDS", 0.02)

    with pytest.raises(Refused) as refused:
        await Connection(part(b"x", more=True)).exchange().read_body()

    assert refused.value.status == 408


async def test_who_has_gone_has_no_body() -> None:
    with pytest.raises(ClientGone):
        await Connection(part(b"x", more=True), {"type": "http.disconnect"}).exchange().read_body()


async def test_whether_the_client_is_there_is_known_without_waiting() -> None:
    """A vote whose sender gave up while the service was held up must not be pushed: it may have voted elsewhere."""
    connection = Connection()
    exchange = connection.exchange()

    assert [exchange.is_there(), exchange.is_there()] == [True, True]
    connection.close()
    assert [exchange.is_there(), exchange.is_there()] == [False, False]


@pytest.fixture
async def polled(queue: FakeVoteQueue) -> AsyncIterator[tuple[Quart, Poll]]:
    settings = Settings()
    pusher, poll = VotePusher(queue), Poll(settings.ballot)
    tasks = [asyncio.create_task(pusher.run()), asyncio.create_task(poll.watch(queue))]
    yield create_app(settings, pusher, Health(), poll=poll), poll
    for task in tasks:
        task.cancel()


async def test_after_a_reset_the_ballot_no_longer_says_that_the_vote_is_recorded(
    polled: tuple[Quart, Poll], queue: FakeVoteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vote.voter.POLL_LOOK_SECONDS", 0.01)
    app, poll = polled
    browser = app.test_client()
    await browser.post("/", form={"vote": "a"})
    assert "is recorded" in await (await browser.get("/")).get_data(as_text=True)
    name = poll.name()

    await queue.drop_all()

    async def is_another() -> bool:
        return poll.name() != name

    await eventually_async(is_another, within=30, saying="the poll has another name")

    page = await (await browser.get("/")).get_data(as_text=True)
    assert "is recorded" not in page
    assert "is-chosen" not in page


async def test_with_another_question_the_ballot_does_not_claim_the_vote_for_the_old_one(queue: FakeVoteQueue) -> None:
    """Both services share the key, and the option's letter; what it means has changed."""
    answered = await create_app(Settings(), Pushed(queue), Health()).test_client().post("/", form={"vote": "a"})
    cookies = "; ".join(header.partition(";")[0] for header in answered.headers.getlist("Set-Cookie"))
    tea = create_app(Settings(options={"a": "Tea", "b": "Coffee"}), Pushed(queue), Health())

    page = await (await tea.test_client().get("/", headers={"Cookie": cookies})).get_data(as_text=True)

    assert "Tea" in page
    assert "is recorded" not in page

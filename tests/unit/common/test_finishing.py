"""What is begun is finished, whoever has gone: Quart cancels it, also in the middle of something that others use."""

import asyncio
from typing import Any

import pytest
from quart import Quart, request

from common.lifecycle import _Finishing

pytestmark = pytest.mark.platform

BEGUN: list[dict[str, Any]] = [{"type": "http.request", "body": b"vote", "more_body": True}]
WHOLE: list[dict[str, Any]] = [{"type": "http.request", "body": b"vote=a", "more_body": False}]


class Client:
    """Sends this much, and is gone as soon as the answer has begun."""

    def __init__(self, *said: dict[str, Any]) -> None:
        self._said = list(said)
        self.is_asked = asyncio.Event()
        self.gone_is_known = asyncio.Event()
        self.statuses: list[int] = []

    async def receive(self) -> dict[str, Any]:
        if self._said:
            return self._said.pop(0)
        await self.is_asked.wait()
        self.gone_is_known.set()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.statuses += [message["status"]] if "status" in message else []


def scope() -> Any:
    empty = {"query_string": b"", "headers": [(b"host", b"localhost")], "client": None, "server": None, "root_path": ""}
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        **empty,
    }


def finishing() -> Quart:
    app = Quart(__name__)
    app.asgi_http_class = _Finishing
    return app


@pytest.mark.parametrize("said", [BEGUN, WHOLE, []])
async def test_an_answer_that_is_begun_is_finished(said: list[dict[str, Any]]) -> None:
    client = Client(*said)
    app = finishing()

    @app.post("/")
    async def slow() -> str:
        client.is_asked.set()
        await client.gone_is_known.wait()
        for _ in range(10):
            await asyncio.sleep(0)  # it is cancelled here, if it is
        return "ok"

    async with asyncio.timeout(10):
        await app(scope(), client.receive, client.send)  # type: ignore[arg-type]

    assert client.statuses == [200]


async def test_who_waits_for_the_rest_of_a_body_is_told_that_none_will_come() -> None:
    client = Client(*BEGUN)
    app = finishing()

    @app.post("/")
    async def reads() -> bytes:
        client.is_asked.set()
        body: bytes = await request.get_data(as_text=False)  # type: ignore[assignment]
        return body

    async with asyncio.timeout(10):
        await app(scope(), client.receive, client.send)  # type: ignore[arg-type]

    assert client.statuses == [200]

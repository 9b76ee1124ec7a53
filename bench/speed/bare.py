"""The limits of our stack: Hypercorn on uvloop, in one process, with as little behind it as can be.

`python -m bench.speed.bare quart|asgi PORT` says "ok", by Quart or by bare ASGI. `... viewers PORT NUMBER` sends
snapshots at the pace of the result service over so many WebSockets, as soon as all of them are open.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import hypercorn.asyncio
import uvloop
from hypercorn.config import Config
from quart import Quart

from bench.settings import HOST
from common.connection_limits import raise_file_limit
from common.server import BACKLOG
from common.settings import Settings
from result.tally import Tally, snapshot

UPDATES_PER_SECOND = 10


def quart_ok() -> Quart:
    """An application that reads nothing and answers "ok"."""
    app = Quart(__name__)

    @app.route("/", methods=["GET", "POST"])
    @app.post("/api/votes")
    async def ok() -> str:
        return "ok"

    return app


async def asgi_ok(scope: Any, receive: Any, send: Any) -> None:
    """The same without Quart."""
    if scope["type"] != "http":
        return
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


class Snapshots:
    """Sends every viewer a new text ten times a second; whoever is late gets the newest."""

    def __init__(self, viewers: str) -> None:
        self._missing = int(viewers)
        self._ballot = Settings.from_env().ballot
        self._text = ""
        self._ticked = asyncio.Event()
        self._ticking: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return await asgi_ok(scope, receive, send)
        await receive()
        await send({"type": "websocket.accept"})
        self._missing -= 1
        if self._missing == 0:
            self._ticking = asyncio.create_task(self._tick())
        seen = ""
        while True:
            if self._text == seen:
                await self._ticked.wait()
            seen = self._text
            await send({"type": "websocket.send", "text": seen})

    async def _tick(self) -> None:
        while True:
            now = datetime.now(UTC)
            self._text = json.dumps(snapshot(Tally({"a": 1000, "b": 1000}, now, now), self._ballot))
            ticked, self._ticked = self._ticked, asyncio.Event()
            ticked.set()
            await asyncio.sleep(1 / UPDATES_PER_SECOND)


async def main(kind: str, port: str, *arguments: str) -> None:
    """Serve one of them until a signal comes."""
    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.backlog = BACKLOG
    config.include_server_header = False  # vote has none either
    apps: dict[str, Callable[..., Any]] = {"quart": quart_ok, "asgi": lambda: asgi_ok, "viewers": Snapshots}
    app = apps[kind](*arguments)
    await hypercorn.asyncio.serve(app, config)


if __name__ == "__main__":
    raise_file_limit()
    uvloop.run(main(*sys.argv[1:]))

"""The floor of the stack: Quart, or nothing but ASGI, answers "ok" on Hypercorn; one process, uvloop, as vote has."""

import sys
from typing import Any

import hypercorn.asyncio
import uvloop
from hypercorn.config import Config
from quart import Quart

from bench.speed.place import HOST


def quart_ok() -> Quart:
    """An application that reads nothing and answers "ok"."""
    app = Quart(__name__)

    @app.route("/", methods=["GET", "POST"])
    @app.post("/api/votes")
    async def ok() -> str:
        return "ok"

    return app


async def bare_ok(scope: Any, receive: Any, send: Any) -> None:
    """The same without Quart."""
    if scope["type"] != "http":
        return
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


def main(kind: str, port: str) -> None:
    """Serve one of them until a signal comes."""
    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.include_server_header = False  # vote has none either
    app: Any = quart_ok() if kind == "quart" else bare_ok
    uvloop.run(hypercorn.asyncio.serve(app, config))


if __name__ == "__main__":
    main(*sys.argv[1:])

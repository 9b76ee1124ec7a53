"""The WebSocket `/ws`: the server only sends.

It does not go through Quart, which would give each viewer three tasks and each snapshot a signal. What is refused does.
"""

import asyncio

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope
from quart import Quart
from quart.typing import ResponseReturnValue

from common.origin import is_foreign
from result.viewers import Viewers

PATH = "/ws"
SERVICE_RESTART = 1012  # the page connects again at once


def add_live(app: Quart, viewers: Viewers) -> None:
    """Add `/ws`: the newest snapshot at once, then after each change."""

    @app.websocket(PATH)
    async def refuse() -> ResponseReturnValue:
        return "The tally is shown on our own page only.", 403

    app.asgi_app = Live(app.asgi_app, viewers)  # type: ignore[method-assign]


class Live:
    """An application with the WebSocket in front of it."""

    def __init__(self, app: ASGIFramework, viewers: Viewers) -> None:
        self._app = app
        self._viewers = viewers

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "websocket" and scope["path"] == PATH and not is_foreign(scope):
            await self._show(receive, send)
        else:
            await self._app(scope, receive, send)

    async def _show(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        left = asyncio.create_task(_has_left(receive))
        try:
            with self._viewers.watching(send) as has_to_go:
                await asyncio.wait({left, has_to_go}, return_when=asyncio.FIRST_COMPLETED)
            if not left.done():
                await send({"type": "websocket.close", "code": SERVICE_RESTART, "reason": "the service restarts"})
        finally:
            left.cancel()


async def _has_left(receive: ASGIReceiveCallable) -> None:
    """What a viewer sends is read, so that it does not pile up, and ignored, as is its wish to connect."""
    while (await receive())["type"] != "websocket.disconnect":
        pass

"""The WebSocket: the server only sends."""

import asyncio
from collections.abc import Awaitable, Callable

from quart import Quart, websocket
from quart.typing import ResponseReturnValue

from common.web import is_foreign
from result.viewers import Viewers

GOING_AWAY = 1001


def add_live(app: Quart, viewers: Viewers) -> None:
    """Add `/ws`: the newest snapshot at once, then after each change."""

    @app.websocket("/ws")
    async def live() -> ResponseReturnValue | None:
        if is_foreign(websocket.headers, websocket.host):
            return "The tally is shown on our own page only.", 403
        await websocket.accept()
        # what a viewer sends is read, so that it does not pile up, and ignored
        ignoring = asyncio.create_task(_ignore(websocket.receive))
        try:
            send = websocket.send  # looked up once, not for each snapshot
            async for snapshot in viewers.watch():
                await send(snapshot)
            await websocket.close(GOING_AWAY, "the service restarts")
        finally:
            ignoring.cancel()
        return None


async def _ignore(receive: Callable[[], Awaitable[object]]) -> None:
    while True:
        await receive()

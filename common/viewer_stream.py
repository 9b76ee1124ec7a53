"""Hypercorn's WebSocket as viewers need it: one frame for all of them."""

from dataclasses import replace
from functools import lru_cache

from hypercorn.protocol.events import Body, Data, Event, Request
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from hypercorn.typing import ASGISendEvent
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import TextMessage

EXTENSIONS = b"sec-websocket-extensions"


class ViewerStream(WSStream):
    """A text for many viewers is framed once, and no viewer can have us compress it.

    And what Hypercorn refuses because a client spoke too early ends for the application as well. It answers 400 and
    forgets to say so: the viewer, its task and its file would stay as long as the process.
    """

    async def handle(self, event: Event) -> None:
        if isinstance(event, Request):
            # the one extension there is would compress each text for each viewer anew, and hold memory for each
            event = replace(event, headers=[each for each in event.headers if each[0].lower() != EXTENSIONS])
        is_early = isinstance(event, Body | Data) and not self.closed and not self.handshake.accepted
        await super().handle(event)
        if is_early and self.app_put is not None:
            await self.app_put({"type": "websocket.disconnect", "code": 1002})

    async def app_send(self, message: ASGISendEvent | None) -> None:
        if message is not None and message["type"] == "websocket.send" and message.get("text") and self._is_open():
            await self.send(Data(stream_id=self.stream_id, data=_frame(str(message["text"]))))
        else:
            await super().app_send(message)

    def _is_open(self) -> bool:
        return (
            not self.closed
            and self.state is ASGIWebsocketState.CONNECTED
            and self.connection.state is ConnectionState.OPEN
        )


@lru_cache(maxsize=4)  # the newest snapshot, and those before for who is slow
def _frame(text: str) -> bytes:
    return bytes(Connection(ConnectionType.SERVER).send(TextMessage(text)))

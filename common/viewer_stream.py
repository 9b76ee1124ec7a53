"""Hypercorn's WebSocket as viewers need it: one frame for all of them, and an end to whatever else they do.

What is mended of Hypercorn 0.18 (`protocol/ws_stream.py`):

- A WebSocket that it or the application refuses stays open (`_send_error_response`, `_send_rejection`), and when it
  refuses one because the client spoke too early, the application isn't told: the viewer, its task and its file would
  stay as long as the process.
- Who sends a message that is too long is told goodbye, and then read on, and all of it is kept (`_handle_events`).
- It compresses what all are sent for each of them anew, and a task for each pings it and outlives it by an interval.
"""

from dataclasses import replace
from functools import lru_cache

from hypercorn.protocol.events import Data, Event, Request, StreamClosed
from hypercorn.protocol.ws_stream import ASGIWebsocketState, FrameTooLargeError, WSStream
from hypercorn.typing import ASGISendEvent
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Message, Ping, TextMessage
from wsproto.frame_protocol import CloseReason

MAX_MESSAGE_BYTES = 1024  # viewers have nothing to say
MAX_HEARD_BYTES = 4096  # between two pings of ours; the answer to one has some ten
EXTENSIONS = b"sec-websocket-extensions"


class ViewerStream(WSStream):
    """Viewers are all sent the same, and say nothing."""

    _heard = 0

    async def handle(self, event: Event) -> None:
        if isinstance(event, Request):
            # the one extension there is would compress each text for each viewer anew, and hold memory for each
            event = replace(event, headers=[each for each in event.headers if each[0] != EXTENSIONS])
        elif isinstance(event, Data) and not self.closed:
            if not self.handshake.accepted:  # it speaks too early
                await self._refuse_early()
                return
            self._heard += len(event.data)
            if self._heard > MAX_HEARD_BYTES:
                await self._end(CloseReason.POLICY_VIOLATION)
                return
        await super().handle(event)

    async def app_send(self, message: ASGISendEvent | None) -> None:
        if message is not None and message["type"] == "websocket.send" and message.get("text") and self.is_open():
            await self.send(Data(stream_id=self.stream_id, data=_frame(str(message["text"]))))
            return
        await super().app_send(message)
        if message is not None and message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            await self.send(StreamClosed(stream_id=self.stream_id))  # newer Quarts wait for the client to go

    def is_open(self) -> bool:
        """Whether frames may be sent."""
        return (
            not self.closed
            and self.state is ASGIWebsocketState.CONNECTED
            and self.connection.state is ConnectionState.OPEN
        )

    def was_pinged(self) -> None:
        """The viewer may send something again."""
        self._heard = 0

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if isinstance(event, Message):
                try:
                    self.buffer.extend(event)
                except FrameTooLargeError:
                    await self._end(CloseReason.MESSAGE_TOO_BIG)
                    return
                if event.message_finished:
                    assert self.app_put is not None
                    await self.app_put(self.buffer.to_message())
                    self.buffer.clear()
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, CloseConnection):
                await self._end(event.code)
                return

    async def _end(self, code: int) -> None:
        """Say goodbye, in answer to the client's or of ourselves, and wait for nothing."""
        is_said = 1000 <= code < 5000 and code not in (CloseReason.NO_STATUS_RCVD, CloseReason.ABNORMAL_CLOSURE)
        await self._send_wsproto_event(CloseConnection(code=code if is_said else CloseReason.NORMAL_CLOSURE))
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _refuse_early(self) -> None:
        if self.state is ASGIWebsocketState.HANDSHAKE:
            await self._send_error_response(400)
        else:  # it is refused already
            await self.send(StreamClosed(stream_id=self.stream_id))

    async def _send_error_response(self, status_code: int) -> None:
        await super()._send_error_response(status_code)
        await self.send(StreamClosed(stream_id=self.stream_id))


@lru_cache(maxsize=4)  # the newest snapshot, and those before for who is slow
def _frame(text: str) -> bytes:
    return bytes(Connection(ConnectionType.SERVER).send(TextMessage(text)))

"""HTTP/1.1 and WebSocket on one connection: between its bytes and the application.

h11 reads and writes HTTP, and Hypercorn's two streams make ASGI of it. What is between them in Hypercorn 0.18 is not
used, and what the streams do wrong for us is mended here:

- Hypercorn hands a request's body on through a queue of ten messages (`asyncio/task_group.py`). When nobody reads them,
  it stops to read the connection, also its end. Here nothing that comes ever waits: see `Inbox`.
- It sends the head of an answer, its body and its end one by one (`protocol/h11.py`): here in one piece.
- It speaks HTTP/2 to whoever begins with it, ALPN or not (`_check_protocol`), without any of these limits: here nobody.
- WebSockets: see `common/viewer_stream.py`.
"""

import asyncio
import contextvars
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol
from wsgiref.handlers import format_date_time

import h11
import structlog
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.protocol.events import Body, Data, EndBody, Event, Request, Response, StreamClosed
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import ASGIFramework, ConnectionState

from common.errors import MAX_BODY_BYTES
from common.viewer_stream import ViewerStream

STREAM_ID = 1
MAX_HEAD_BYTES = 16 * 1024  # of a request's line and headers, of a chunk's header, of trailers
MAX_MESSAGES = 20  # of a viewer that wait to be looked at
MAX_REQUESTS = 1000  # on one connection
PING = b"\x89\x00"  # as a frame
CLOSE = (b"connection", b"close")

# these are taken for text by Hypercorn, which fails on other bytes
TEXTS = frozenset({b"connection", b"sec-websocket-protocol"})

Headers = list[tuple[bytes, bytes]]
Messages = Callable[[Any], Awaitable[None]]

log = structlog.get_logger()


class Wire(Protocol):
    """The connection, as its protocol needs it."""

    is_last_call: bool  # the service stops: the next answer says that it is the last

    def write(self, data: bytes) -> None: ...
    async def drained(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def is_asked(self) -> None: ...
    def is_watched(self) -> None: ...
    def is_free(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Ends:
    """Who talks with whom."""

    is_tls: bool
    client: tuple[str, int] | None
    server: tuple[str, int] | None


class Inbox:
    """What has come for the application: putting in never waits, and the whole is bounded.

    A body is one message, however it was sent. Of one that is too long, one byte too much is kept: who reads it sees
    that it is.
    """

    def __init__(self) -> None:
        self._messages: deque[Any] = deque()
        self._room = MAX_BODY_BYTES + 1
        self._arrival: asyncio.Future[None] | None = None

    async def put(self, message: Any) -> None:
        """Keep a message for the application."""
        if message["type"] == "http.request":
            message = self._with_rest(message)
        elif message["type"] == "websocket.receive" and len(self._messages) >= MAX_MESSAGES:
            return
        self._messages.append(message)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def get(self) -> Any:
        """The next message; the last one, that the client has gone, again and again."""
        while not self._messages:
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        if self._messages[0]["type"].endswith(".disconnect"):
            return self._messages[0]
        return self._messages.popleft()

    def _with_rest(self, message: Any) -> Any:
        body = message["body"][: self._room]
        self._room -= len(body)
        if self._messages:
            body = self._messages.pop()["body"] + body
        return {"type": "http.request", "body": body, "more_body": message["more_body"]}


class Conversation:
    """The requests of one connection, one after the other, with their answers."""

    def __init__(self, app: ASGIFramework, config: Config, wire: Wire, ends: Ends) -> None:
        self._app = app
        self._config = config
        self._wire = wire
        self._ends = ends
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._stream: HTTPStream | ViewerStream | None = None
        self._viewer: ViewerStream | None = None
        self._held = b""
        self._requests = 0
        self._is_head = False  # what is asked for has no body
        self._is_paused = False
        self._is_over = False
        self._is_hung_up = False
        self.answering: set[asyncio.Task[Any]] = set()

    # What the connection calls.

    def receive(self, data: bytes) -> None:
        """Take what has come: nothing of it waits."""
        if self._is_over:
            return
        if self._viewer is not None:
            _at_once(self._viewer.handle(Data(STREAM_ID, data)))
        else:
            self._h11.receive_data(data)
            self._go_on()

    def hang_up(self) -> None:
        """The client sends nothing more; it may still wait for an answer."""
        if self._viewer is None and not self._is_over:
            self._h11.receive_data(b"")
            self._go_on()
        self._is_hung_up = True
        self._leave_stream()
        if not self.answering:
            self.close()

    def lost(self) -> None:
        """There is no connection any more."""
        self._is_over = True
        self._leave_stream()

    def ping(self) -> None:
        """Ask a viewer whether it is there."""
        if self._viewer is not None and self._viewer.is_open():
            self._viewer.was_pinged()
            self._wire.write(PING)

    def close(self) -> None:
        """Answer nothing more."""
        if not self._is_over:
            self._is_over = True
            self._leave_stream()
            self._wire.close()

    # What comes.

    def _go_on(self) -> None:
        while not self._is_over and self._viewer is None and self._take_next():
            pass

    def _take_next(self) -> bool:
        """Take the next event of what has come; False when there is none."""
        if self._h11.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))
        try:
            event = self._h11.next_event()
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, "This request can't be read.\n")
            return False
        if isinstance(event, h11.Request):
            self._begin(event)
        elif isinstance(event, h11.Data):
            self._hand_on(Body(STREAM_ID, bytes(event.data)))
        elif isinstance(event, h11.EndOfMessage):
            self._hand_on(EndBody(STREAM_ID))
        else:
            if event is h11.PAUSED:  # the next request has come before this one is answered
                self._is_paused = True
                self._wire.pause()
            return False
        return True

    def _hand_on(self, event: Event) -> None:
        if self._stream is not None:
            _at_once(self._stream.handle(event))

    def _begin(self, request: h11.Request) -> None:
        self._wire.is_asked()
        self._requests += 1
        self._is_head = request.method == b"HEAD"
        headers = list(request.headers)
        if request.http_version not in (b"1.1", b"1.0"):  # with HTTP/2 one begins with a request, too
            self._refuse(400, "This service speaks HTTP/1.1.\n")
        elif not _asks_for_websocket(request.method, headers):
            self._stream = HTTPStream(*self._for_stream())
            self._start(request, headers)
        elif refusal := _fault_of_handshake(request.http_version, headers):
            self._refuse(*refusal)
        else:
            self._stream = self._viewer = ViewerStream(*self._for_stream())
            self._start(request, headers)
            early, _ = self._h11.trailing_data
            if early:
                self.receive(early)

    def _start(self, request: h11.Request, headers: Headers) -> None:
        self._hand_on(
            Request(
                STREAM_ID,
                headers=headers,
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=ConnectionState({}),
            )
        )

    def _for_stream(self) -> tuple[Any, ...]:
        tls, client, server = self._ends.is_tls, self._ends.client, self._ends.server
        return self._app, self._config, _CONTEXT, self, tls, client, server, self._from_stream, STREAM_ID

    # What the streams call, as that of Hypercorn's which has tasks.

    async def spawn_app(self, app: ASGIFramework, config: Config, scope: Any, send: Messages) -> Messages:
        """Let the application answer; returns how it is told what comes."""
        inbox = Inbox()
        task = self._loop.create_task(self._answer(scope, inbox, send))
        self.answering.add(task)
        return inbox.put

    async def _answer(self, scope: Any, inbox: Inbox, send: Messages) -> None:
        async def send_in_turn(message: Any) -> None:
            await send(message)
            await self._wire.drained()

        try:
            await self._app(scope, inbox.get, send_in_turn)
        except Exception:
            log.exception("answer_failed", path=scope["path"])
        try:
            await send(None)
        finally:
            task = asyncio.current_task()
            assert task is not None
            self.answering.discard(task)
            if self._is_hung_up and not self.answering:
                self.close()

    # What goes out.

    async def _from_stream(self, event: Event) -> None:
        if isinstance(event, Response):
            headers = [*event.headers, (b"date", _date(int(time.time())))]
            if event.status_code < 200:
                self._send(h11.InformationalResponse(status_code=event.status_code, headers=headers))
                self._wire.is_watched()
                return
            if self._is_last() and CLOSE not in event.headers:
                headers.append(CLOSE)
            self._send(h11.Response(status_code=event.status_code, headers=headers))
        elif isinstance(event, Body):
            self._send(h11.Data(data=event.data))
        elif isinstance(event, EndBody):
            self._send(h11.EndOfMessage())
        elif isinstance(event, Data):
            self._wire.write(event.data)
        elif isinstance(event, StreamClosed):
            self._is_answered()

    def _is_last(self) -> bool:
        """Whether the connection ends with this answer: also when what is left of its request would have to be read."""
        return (
            self._h11.their_state is h11.SEND_BODY
            or self._requests >= MAX_REQUESTS
            or (self._wire.is_last_call and not self._is_paused)  # a request that has come already is answered
            or self._viewer is not None
        )

    def _send(self, event: Any) -> None:
        if self._is_over:
            return
        self._held += self._h11.send(event) or b""
        if self._held and not isinstance(event, h11.Response):  # the head of an answer waits for what follows it
            held, self._held = self._held, b""
            self._wire.write(held)

    def _refuse(self, status: int, reason: str, *more: tuple[bytes, bytes]) -> None:
        """Answer what no application gets to see, and end."""
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = reason.encode()
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
            headers += [*more, (b"date", _date(int(time.time()))), CLOSE]
            self._send(h11.Response(status_code=status, headers=headers))
            if not self._is_head:
                self._send(h11.Data(data=body))
            self._send(h11.EndOfMessage())
        self.close()

    def _is_answered(self) -> None:
        self._leave_stream()
        if self._is_over:
            return
        if self._viewer is not None or not self._is_whole():
            self.close()
            return
        self._h11.start_next_cycle()
        self._is_head = False
        self._wire.is_free()
        if self._is_paused:
            self._is_paused = False
            self._wire.resume()
            # not in this answer's context: the next one would know this one's request
            self._loop.call_soon(self._go_on, context=self._context)

    def _is_whole(self) -> bool:
        return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE

    def _leave_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            _at_once(stream.handle(StreamClosed(STREAM_ID)))


_CONTEXT = WorkerContext(None)


def _at_once(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run what is written as if it could wait, and never does: neither an inbox nor what goes out lets it."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError("a stream waits for something")


@lru_cache(1)
def _date(second: int) -> bytes:
    return format_date_time(second).encode("ascii")


def _asks_for_websocket(method: bytes, headers: Headers) -> bool:
    upgrade = connection = b""
    for name, value in headers:
        if name == b"upgrade":
            upgrade = value
        elif name == b"connection":
            connection += b"," + value
    if upgrade.strip().lower() != b"websocket" or method != b"GET":
        return False
    return b"upgrade" in [token.strip() for token in connection.lower().split(b",")]


def _fault_of_handshake(http_version: bytes, headers: Headers) -> tuple[Any, ...] | None:
    """Why this opens no WebSocket: status, reason and headers of the answer."""
    keys = [value for name, value in headers if name == b"sec-websocket-key"]
    versions = [value for name, value in headers if name == b"sec-websocket-version"]
    if http_version != b"1.1" or len(keys) != 1 or not all(value.isascii() for name, value in headers if name in TEXTS):
        return 400, "This is no handshake of a WebSocket.\n"
    if versions != [b"13"]:
        needed = (b"upgrade", b"websocket"), (b"sec-websocket-version", b"13")
        return 426, "Only version 13 of WebSocket is spoken here.\n", *needed
    return None

"""What stands between a connection's bytes and the application: answers in one piece, and an inbox."""

import asyncio
from typing import Any

import pytest
from hypercorn.config import Config

from common.errors import MAX_BODY_BYTES
from common.protocols import MAX_MESSAGES, Conversation, Ends, Inbox

pytestmark = pytest.mark.platform


class Wire:
    """Keeps what is sent, piece by piece."""

    is_last_call = False

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.is_closed = self.is_paused = False

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

    async def drained(self) -> None: ...

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def is_asked(self) -> None: ...
    def is_watched(self) -> None: ...
    def is_free(self) -> None: ...

    def close(self) -> None:
        self.is_closed = True


async def answered(request: bytes, headers: list[tuple[bytes, bytes]], *bodies: bytes) -> Wire:
    """What goes out when the application answers this request with these pieces of a body."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for body in bodies:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    wire = Wire()
    conversation = Conversation(app, Config(), wire, Ends(False, None, None))
    conversation.receive(request)
    await asyncio.gather(*conversation.answering)
    return wire


GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
LENGTH = [(b"content-length", b"2")]


async def test_head_and_body_leave_together() -> None:
    wire = await answered(GET, LENGTH, b"ok")

    assert len(wire.pieces) == 1
    assert wire.pieces[0].startswith(b"HTTP/1.1 200")
    assert wire.pieces[0].endswith(b"\r\n\r\nok")
    assert not wire.is_closed


async def test_an_answer_without_a_body_leaves_at_its_end() -> None:
    wire = await answered(b"HEAD / HTTP/1.1\r\nHost: here\r\n\r\n", LENGTH, b"ok")

    assert len(wire.pieces) == 1
    assert wire.pieces[0].endswith(b"\r\n\r\n")


async def test_what_comes_later_is_not_waited_for() -> None:
    wire = await answered(GET, [], b"first", b"second")

    assert [piece[-8:] for piece in wire.pieces[:2]] == [b"\nfirst\r\n", b"second\r\n"]


async def test_an_answer_before_the_request_is_whole_says_that_it_is_the_last() -> None:
    wire = await answered(b"GET / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\n", LENGTH, b"ok")

    assert b"\r\nconnection: close\r\n" in wire.pieces[0]
    assert wire.is_closed


async def test_a_second_request_waits_for_the_first_answer_and_is_answered() -> None:
    wire = await answered(GET + GET, LENGTH, b"ok")
    async with asyncio.timeout(10):
        while len(wire.pieces) < 2:  # noqa: ASYNC110  # the next answer begins in a later turn of the loop
            await asyncio.sleep(0)

    assert wire.is_paused is False
    assert wire.pieces[1].endswith(b"ok")


async def test_a_body_in_many_pieces_is_one_message() -> None:
    inbox = Inbox()
    for _ in range(100):
        await inbox.put({"type": "http.request", "body": b"x", "more_body": True})
    await inbox.put({"type": "http.request", "body": b"", "more_body": False})

    assert await inbox.get() == {"type": "http.request", "body": b"x" * 100, "more_body": False}


@pytest.mark.parametrize("piece", [1, 1000, 100_000])
async def test_of_a_body_that_is_too_long_one_byte_too_much_is_kept(piece: int) -> None:
    inbox = Inbox()
    for _ in range(5 * MAX_BODY_BYTES // piece + 1):
        await inbox.put({"type": "http.request", "body": b"x" * piece, "more_body": True})

    assert len((await inbox.get())["body"]) == MAX_BODY_BYTES + 1


async def test_who_has_gone_has_gone_for_good() -> None:
    inbox = Inbox()
    await inbox.put({"type": "http.disconnect"})

    assert (await inbox.get())["type"] == "http.disconnect"
    assert (await inbox.get())["type"] == "http.disconnect"


async def test_what_a_viewer_says_and_nobody_reads_is_bounded_and_its_end_is_told() -> None:
    inbox = Inbox()
    for _ in range(1000):
        await inbox.put({"type": "websocket.receive", "text": "x", "bytes": None})
    await inbox.put({"type": "websocket.disconnect", "code": 1000})

    kinds = [(await inbox.get())["type"] for _ in range(MAX_MESSAGES + 1)]
    assert kinds == ["websocket.receive"] * MAX_MESSAGES + ["websocket.disconnect"]


UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.mark.parametrize("is_refused", [True, False])
async def test_a_viewer_that_speaks_too_early_is_answered_once_and_the_application_is_told(is_refused: bool) -> None:
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.append((await receive())["type"])
        if is_refused:
            await send({"type": "websocket.http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
            await send({"type": "websocket.http.response.body", "body": b"", "more_body": False})
        told.append((await receive())["type"])

    wire = Wire()
    conversation = Conversation(app, Config(), wire, Ends(False, None, None))
    conversation.receive(UPGRADE)
    await asyncio.sleep(0)
    conversation.receive(b"\x81\x80\0\0\0\0")
    await asyncio.gather(*conversation.answering)

    assert [piece[:12] for piece in wire.pieces] == [b"HTTP/1.1 404" if is_refused else b"HTTP/1.1 400"]
    assert told == ["websocket.connect", "websocket.disconnect"]
    assert wire.is_closed

"""Each state of a connection ends when its time is over, and not before; the clock is ours here."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypercorn.config import Config

from common.connections import (
    EXCHANGE_SECONDS,
    HEADERS_SECONDS,
    LAST_CALL_SECONDS,
    LINGER_BYTES,
    LINGER_SECONDS,
    PING_SECONDS,
    SILENT_SECONDS,
    UNREAD_SECONDS,
    Connection,
)
from common.protocols import PING
from common.server import LOOK_SECONDS
from tests.unit.common.test_protocols import GET, UPGRADE

pytestmark = pytest.mark.platform


class Transport:
    """The kernel, which takes what it is given, or leaves it where it is."""

    def __init__(self, *, is_tls: bool = False) -> None:
        self.sent = b""
        self.waits = 0  # bytes
        self.takes = True
        self.is_tls = is_tls
        self.said: list[str] = []
        self.unread, self._client = socket.socketpair()

    def has_bytes(self) -> None:
        """From the client, which the event loop has not read yet."""
        self._client.sendall(GET)

    def close_sockets(self) -> None:
        for each in (self.unread, self._client):
            each.close()

    def write(self, data: bytes) -> None:
        self.sent += data
        if not self.takes:
            self.waits += len(data)

    def get_write_buffer_size(self) -> int:
        return self.waits

    def can_write_eof(self) -> bool:
        return not self.is_tls

    def is_closing(self) -> bool:
        return bool({"close", "abort"} & set(self.said))

    def get_extra_info(self, name: str) -> Any:
        return self.unread if name == "socket" else ("127.0.0.1", 4711)

    def set_write_buffer_limits(self, high: int) -> None: ...

    def __getattr__(self, name: str) -> Any:
        """What is only done: close, abort, write_eof, pause_reading, resume_reading."""
        return lambda: self.said.append(name)


class Client:
    """A connection as its client and the clock see it."""

    def __init__(self, connection: Connection, transport: Transport) -> None:
        self.connection = connection
        self.transport = transport
        self.now = asyncio.get_running_loop().time()

    async def says(self, data: bytes) -> None:
        self.connection.data_received(data)
        for _ in range(5):  # the application answers in turns of its own
            await asyncio.sleep(0)

    def is_over_after(self, seconds: float) -> bool:
        """Whether it has ended when so much time has gone by since the last look."""
        for _ in range(round(seconds / LOOK_SECONDS)):
            self.now += LOOK_SECONDS
            self.connection.look(self.now)
        return self.transport.is_closing()


@asynccontextmanager
async def connected(*, answers: bool = True, is_tls: bool = False) -> AsyncIterator[Client]:
    never = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if not answers:
            await never.wait()
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            while (await receive())["type"] != "websocket.disconnect":
                pass
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok", "more_body": False})

    lost: list[Connection] = []
    transport: Any = Transport(is_tls=is_tls)
    connection = Connection(app, Config(), is_tls, lost.append)
    connection.connection_made(transport)
    yield Client(connection, transport)
    connection.connection_lost(None)
    never.set()
    assert connection.conversation is not None
    await asyncio.gather(*connection.conversation.answering)
    assert lost == [connection]
    transport.close_sockets()


BIT = 2.0  # more than the time between two looks


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: here\r\n"])
async def test_one_that_asks_nothing_is_ended(said: bytes) -> None:
    async with connected() as client:
        await client.says(said)

        assert not client.is_over_after(HEADERS_SECONDS - BIT)
        assert client.is_over_after(2 * BIT)


@pytest.mark.parametrize("requests", [1, 3])
async def test_one_that_asks_no_more_is_ended_and_each_answer_begins_the_time_anew(requests: int) -> None:
    async with connected() as client:
        await client.says(GET * requests)

        assert client.transport.sent.count(b"HTTP/1.1 200") == requests
        assert not client.is_over_after(HEADERS_SECONDS - BIT)
        assert client.is_over_after(2 * BIT)


async def test_an_exchange_that_does_not_end_is_ended() -> None:
    async with connected(answers=False) as client:
        await client.says(GET)

        assert not client.is_over_after(EXCHANGE_SECONDS - BIT)
        assert client.is_over_after(2 * BIT)


@pytest.mark.parametrize("said", [GET, UPGRADE])
async def test_one_that_takes_nothing_of_what_is_sent_is_ended(said: bytes) -> None:
    async with connected() as client:
        client.transport.takes = False
        await client.says(said)
        client.connection.look(client.now)

        assert "abort" not in client.transport.said
        client.is_over_after(UNREAD_SECONDS + BIT)
        assert "abort" in client.transport.said


async def test_a_viewer_that_takes_a_little_now_and_then_stays() -> None:
    async with connected() as client:
        await client.says(UPGRADE)
        client.transport.takes = False
        for _ in range(20):
            client.connection.write(b"x" * 100)
            client.transport.waits -= 10
            await client.says(b"\x8a\x80\0\0\0\0")  # its answer to a ping
            client.connection._ends = client.now + SILENT_SECONDS
            assert not client.is_over_after(UNREAD_SECONDS - BIT)


async def test_a_viewer_is_pinged_and_one_that_does_not_answer_is_ended() -> None:
    async with connected() as client:
        await client.says(UPGRADE)
        before = client.transport.sent.count(PING)

        assert not client.is_over_after(SILENT_SECONDS - BIT)
        assert client.transport.sent.count(PING) - before == SILENT_SECONDS // PING_SECONDS
        assert client.is_over_after(2 * BIT)


async def test_one_that_does_not_end_when_it_should_is_ended() -> None:
    async with connected() as client:
        await client.says(b"nonsense\r\n\r\n")
        assert client.transport.said[-1] == "write_eof"
        assert b"HTTP/1.1 400" in client.transport.sent

        assert not client.is_over_after(LINGER_SECONDS - 1)
        assert client.is_over_after(2 * BIT)


async def test_one_that_goes_on_sending_after_the_end_is_ended_before_its_time() -> None:
    async with connected() as client:
        await client.says(b"nonsense\r\n\r\n")
        await client.says(b"x" * LINGER_BYTES)
        assert not client.transport.is_closing()

        await client.says(b"x")

        assert client.transport.is_closing()


async def test_an_answer_that_waits_to_be_taken_has_its_time_and_no_more() -> None:
    async with connected() as client:
        client.transport.takes = False
        await client.says(b"nonsense\r\n\r\n")

        for _ in range(9):  # a byte at a time
            client.transport.waits -= 1
            assert not client.is_over_after(UNREAD_SECONDS / 10)
        client.transport.waits -= 1
        assert client.is_over_after(UNREAD_SECONDS)


async def test_tls_says_goodbye_by_itself() -> None:
    async with connected(is_tls=True) as client:
        await client.says(b"nonsense\r\n\r\n")

        assert client.transport.said[-1] == "close"


async def test_a_client_that_has_said_its_last_is_answered_and_ended() -> None:
    async with connected() as client:
        client.connection.data_received(GET)
        assert client.connection.eof_received()
        await client.says(b"")

        assert client.transport.sent.endswith(b"ok")
        assert client.transport.is_closing()


async def test_at_the_last_call_one_that_is_silent_may_ask_once_more_and_is_told_that_it_is_the_last() -> None:
    async with connected() as client:
        await client.says(GET)
        client.connection.last_call(client.now)

        assert not client.is_over_after(LAST_CALL_SECONDS - BIT / 2)
        await client.says(GET)

        first, second = client.transport.sent.split(b"HTTP/1.1 200")[1:]
        assert b"connection: close" not in first
        assert b"connection: close" in second
        assert client.transport.said[-1] == "write_eof"


@pytest.mark.parametrize("said", [b"", GET])
async def test_one_that_stays_silent_after_the_last_call_is_ended_sooner(said: bytes) -> None:
    async with connected() as client:
        await client.says(said)
        client.connection.last_call(client.now)

        client.is_over_after(LAST_CALL_SECONDS + BIT / 2)

        assert "write_eof" in client.transport.said


async def test_requests_that_came_before_the_last_call_are_all_answered() -> None:
    """The first answer does not say that it is the last: what came with it would have to be sent again."""
    async with connected() as client:
        client.connection.data_received(GET * 3)
        client.connection.last_call(client.now)
        await client.says(b"")

        assert client.transport.sent.count(b"HTTP/1.1 200") == 3
        assert client.transport.sent.count(b"connection: close") == 1


async def test_one_whose_request_has_come_and_is_not_read_yet_is_not_ended() -> None:
    async with connected() as client:
        await client.says(GET)
        client.transport.has_bytes()

        client.is_over_after(HEADERS_SECONDS + BIT)

        assert client.transport.said == []


async def test_an_idle_one_is_ended_at_once_so_that_no_request_comes_between_the_look_and_the_end() -> None:
    """uvloop would do it in its next turn, which a busy machine delays."""
    async with connected() as client:
        await client.says(GET)

        client.is_over_after(HEADERS_SECONDS + BIT)

        with pytest.raises(BrokenPipeError):
            client.transport.unread.sendall(b"an answer")

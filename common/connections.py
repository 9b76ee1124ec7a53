"""One connection of a client: what it may hold of us, and for how long, whatever its other end does.

A connection is always in one state, and each state has an end; docs/robustness.md has the table. One look at all of
them, twice a second, ends those whose time is over: a timer for each would be begun and stopped with each request.
"""

import asyncio
import os
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import cast

from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from prometheus_client import Counter

from common.protocols import Conversation, Ends

# From the connection, or the last answer on it, until the next request's headers are complete.
HEADERS_SECONDS = 5.0
LAST_CALL_SECONDS = 3.0  # the same while the service stops; longer than busy people and programs pause
EXCHANGE_SECONDS = 45.0  # from there until the answer is taken: the body has 10 s of it, a client that reads the rest
UNREAD_SECONDS = 30.0  # how long a client may take nothing of what waits for it
UNSENT_BYTES = 16 * 1024  # of an answer, or of snapshots, that wait here: whoever answers waits while there are more
PING_SECONDS = 10.0  # keeps proxies from closing a silent WebSocket, and shows who is gone
SILENT_SECONDS = 45.0  # a viewer that answers no ping is gone
# At its end a connection is read on for a while: if what has come were left unread, the kernel would take the answer
# back (RFC 9112, 9.6).
LINGER_SECONDS = 2.0
LINGER_BYTES = 1_000_000
LAST_LINGER_SECONDS = 0.3  # while the service stops, for one that was silent: no answer can be lost


class State(Enum):
    """What a connection is doing, as metrics name it."""

    NEW = "new"
    FREE = "kept_alive"
    ASKED = "request"
    WATCHED = "websocket"
    CLOSING = "closing"


ENDED = Counter("connections_ended", "Connections ended by a timeout, by what they were doing.", ["state"])
for _state in State:
    ENDED.labels(_state.value)  # there from the start, as zero


class Connection(asyncio.Protocol):
    """The wire under a conversation; `when_lost` is called once, when it is gone."""

    def __init__(self, app: ASGIFramework, config: Config, is_tls: bool, when_lost: Callable[["Connection"], None]):
        self.is_last_call = False
        self._app = app
        self._config = config
        self._is_tls = is_tls
        self._when_lost = when_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._state = State.NEW
        self._ends = 0.0  # of the present state
        self._close_by = 0.0
        self._next_ping = 0.0
        self._written = self._taken = 0  # bytes, by us and by the kernel
        self._taken_at = 0.0
        self._left_over = 0
        self._is_hung_up = False
        self._writable = asyncio.Event()
        self._writable.set()
        self.conversation: Conversation | None = None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its type
        self._transport.set_write_buffer_limits(UNSENT_BYTES)
        self._taken_at = self._loop.time()
        self._ends = self._taken_at + self._silence_seconds()
        ends = Ends(self._is_tls, _address(self._transport, "peername"), _address(self._transport, "sockname"))
        self.conversation = Conversation(self._app, self._config, self, ends)

    def data_received(self, data: bytes) -> None:
        if self._state is State.CLOSING:
            self._left_over += len(data)
            if self._left_over > LINGER_BYTES:
                self._transport.abort()
            return
        if self._state is State.WATCHED:
            self._ends = self._loop.time() + SILENT_SECONDS
        assert self.conversation is not None
        self.conversation.receive(data)

    def eof_received(self) -> bool:
        self._is_hung_up = True
        if self._state is State.CLOSING:
            self._transport.close()
        else:
            assert self.conversation is not None
            self.conversation.hang_up()
        return True  # it may still read an answer

    def connection_lost(self, exc: Exception | None) -> None:
        self._state = State.CLOSING
        self._writable.set()
        if self.conversation is not None:
            self.conversation.lost()
        self._when_lost(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # What the conversation calls.

    def write(self, data: bytes) -> None:
        """Send this, some time."""
        if not self._transport.is_closing():
            self._written += len(data)
            self._transport.write(data)

    async def drained(self) -> None:
        """Wait until there is room for more, or no connection."""
        await self._writable.wait()

    def pause(self) -> None:
        """Read nothing more for a while."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def is_asked(self) -> None:
        """A request has begun."""
        self._state = State.ASKED
        self._ends = self._loop.time() + EXCHANGE_SECONDS

    def is_free(self) -> None:
        """It is answered, and another one may come."""
        self._state = State.FREE
        self._ends = self._loop.time() + self._silence_seconds()

    def is_watched(self) -> None:
        """It has become a WebSocket."""
        now = self._loop.time()
        self._state, self._ends, self._next_ping = State.WATCHED, now + SILENT_SECONDS, now + PING_SECONDS

    def close(self) -> None:
        """Send what is to be sent, and end."""
        if self._state is State.CLOSING:
            return
        now = self._loop.time()
        self._state, self._ends, self._close_by = State.CLOSING, now + LINGER_SECONDS, now + UNREAD_SECONDS
        self.resume()
        if self._is_hung_up or not self._transport.can_write_eof():  # TLS says goodbye, and waits for it, by itself
            self._transport.close()
        elif not self._transport.is_closing():
            self._transport.write_eof()

    # What the server calls.

    def last_call(self, now: float) -> None:
        """The service stops: a silent client has less time for its next request, which is its last here."""
        self.is_last_call = True
        if self.conversation is not None:
            if self._state in (State.NEW, State.FREE):
                self._ends -= HEADERS_SECONDS - LAST_CALL_SECONDS
            self.look(now)

    def look(self, now: float) -> None:
        """End it if its time is over."""
        waits = self._transport.get_write_buffer_size()
        if not waits or self._written - waits != self._taken:
            self._taken, self._taken_at = self._written - waits, now
        if now - self._taken_at > UNREAD_SECONDS:
            self._end()
        elif now > self._ends:
            if self._state in (State.NEW, State.FREE):
                self._end_idle()
            elif self._state is not State.CLOSING or not waits or now > self._close_by:
                self._end()
        elif self._state is State.WATCHED and now > self._next_ping:
            self._next_ping = now + PING_SECONDS
            assert self.conversation is not None
            self.conversation.ping()

    def end(self) -> None:
        """The service ends."""
        self._transport.close()

    def abort(self) -> None:
        """The service ends now."""
        self._transport.abort()

    def _silence_seconds(self) -> float:
        return LAST_CALL_SECONDS if self.is_last_call else HEADERS_SECONDS

    def _end_idle(self) -> None:
        assert self.conversation is not None
        if _end_unless_asked(self._transport):  # or else a request was on its way, and is answered
            ENDED.labels(self._state.value).inc()
            self.conversation.close()
            if self.is_last_call:
                self._ends = self._loop.time() + LAST_LINGER_SECONDS

    def _end(self) -> None:
        ENDED.labels(self._state.value).inc()
        self._transport.abort()


def _end_unless_asked(transport: asyncio.Transport) -> bool:
    """Tell the client that nothing is answered any more; False if it has asked, and the event loop has not read that.

    uvloop's `write_eof` does so only in the loop's next turn. Until then a request may come that nobody answers, and a
    busy machine takes its time for a turn.
    """
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as end:
        poll = select.poll()
        poll.register(end, select.POLLIN)
        if poll.poll(0):
            return False
        if transport.can_write_eof():  # TLS has more to say
            with suppress(OSError):  # the client has gone
                end.shutdown(socket.SHUT_WR)
    return True


def _address(transport: asyncio.Transport, which: str) -> tuple[str, int] | None:
    address = transport.get_extra_info(which)
    return (address[0], address[1]) if isinstance(address, tuple) else None

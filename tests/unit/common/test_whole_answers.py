"""An answer leaves in one piece, as it would have left in three."""

from typing import Any

import pytest
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Event, RawData
from hypercorn.protocol.events import Body, EndBody, Response
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol

from common.whole_answers import _Protocol

HEADERS = [(b"content-length", b"2")]
HEAD = Response(STREAM_ID, HEADERS, 200)
CHUNKED = Response(STREAM_ID, [(b"transfer-encoding", b"chunked")], 200)


async def sent(kind: type[H11Protocol], method: bytes, *events: Any) -> list[bytes]:
    """What goes out for these events of an answer, piece by piece."""
    pieces: list[bytes] = []

    async def send(event: Event) -> None:
        if isinstance(event, RawData):
            pieces.append(event.data)

    unused: Any = None
    config = Config()
    config.include_date_header = False
    protocol = kind(unused, config, WorkerContext(None), unused, unused, False, None, None, send)
    connection: Any = protocol.connection
    connection.receive_data(method + b" / HTTP/1.1\r\nHost: here\r\n\r\n")
    connection.next_event()
    connection.next_event()
    for event in events:
        await protocol.stream_send(event)
    return pieces


async def test_head_and_body_leave_together() -> None:
    pieces = await sent(_Protocol, b"GET", HEAD, Body(STREAM_ID, b"ok"), EndBody(STREAM_ID))

    assert len(pieces) == 1
    assert pieces[0].endswith(b"\r\n\r\nok")


async def test_an_answer_without_a_body_leaves_at_its_end() -> None:
    assert len(await sent(_Protocol, b"HEAD", HEAD)) == 0
    assert len(await sent(_Protocol, b"HEAD", HEAD, EndBody(STREAM_ID))) == 1


async def test_what_comes_later_is_not_waited_for() -> None:
    pieces = await sent(_Protocol, b"GET", CHUNKED, Body(STREAM_ID, b"first"), Body(STREAM_ID, b"second"))

    assert [piece[-8:] for piece in pieces] == [b"\nfirst\r\n", b"second\r\n"]


@pytest.mark.parametrize("answer", [HEAD, CHUNKED])
async def test_the_bytes_are_those_of_hypercorn(answer: Response) -> None:
    events = (answer, Body(STREAM_ID, b"ok"), EndBody(STREAM_ID))

    assert b"".join(await sent(_Protocol, b"GET", *events)) == b"".join(await sent(H11Protocol, b"GET", *events))

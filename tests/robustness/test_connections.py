"""Every state that a connection can be in ends in time, holds little memory, and leaves nothing behind.

The table in docs/robustness.md names these tests. Limits are waited for as they are, so the states are tried at once.
"""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from common.connections import EXCHANGE_SECONDS, HEADERS_SECONDS, LINGER_SECONDS
from common.viewer_stream import MAX_HEARD_BYTES, MAX_MESSAGE_BYTES
from tests.robustness.conftest import NO_LIMITS, Services
from tests.robustness.figures import tried
from tests.robustness.raw import connect, statuses, websocket_handshake
from tests.services import Service, service
from tests.waiting import BUSY_SECONDS, eventually

pytestmark = pytest.mark.platform

ENDS_SECONDS = HEADERS_SECONDS + LINGER_SECONDS + BUSY_SECONDS  # for what nobody may hold open by any trick
CHUNK = b"1\r\nx\r\n"
MANY_CHUNKS = CHUNK * 200
HEAD = b" HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
LAST_JSON = b"Content-Type: application/json\r\nConnection: close\r\n"
TEXT, PING, LAST = 0x1, 0x9, 0x80


def frame(kind: int, payload: bytes, *, length: int | None = None) -> bytes:
    """A masked frame, whose length may be a lie."""
    told = len(payload) if length is None else length
    if told < 126:
        head = bytes([kind, 0x80 | told])
    elif told < 1 << 16:
        head = bytes([kind, 0xFE]) + told.to_bytes(2, "big")
    else:
        head = bytes([kind, 0xFF]) + told.to_bytes(8, "big")
    return head + bytes(4) + payload


class Case(NamedTuple):
    """What is sent, and the statuses of the answers."""

    sent: bytes
    answers: list[int]


# What a client sends before it says nothing more, and never reads its end.
HELD = {
    "nothing at all": Case(b"", []),
    "half a header": Case(b"GET / HT", []),
    "a chunked body that nobody reads": Case(b"GET /" + HEAD + CHUNKED + MANY_CHUNKS, [200]),
    "the same and its end": Case(b"GET /" + HEAD + CHUNKED + MANY_CHUNKS + b"0\r\n\r\n", [200]),
    "the same to a target that is none": Case(b"GET http://[" + HEAD + CHUNKED + MANY_CHUNKS, [400]),
    "the same to no host": Case(b"GET / HTTP/1.1\r\nHost: a..b\r\n" + CHUNKED + MANY_CHUNKS, [400]),
    "the same to what is not there": Case(b"POST /nothing" + HEAD + CHUNKED + MANY_CHUNKS, [404]),
    "the same with a method that is not there": Case(b"DELETE /healthz" + HEAD + CHUNKED + MANY_CHUNKS, [405]),
    "the same for a head": Case(b"HEAD /healthz" + HEAD + CHUNKED + MANY_CHUNKS, [200]),
    "a body that never comes, to who does not read it": Case(b"GET /" + HEAD + b"Content-Length: 4000\r\n\r\n", [200]),
    "a body that was asked for": Case(b"GET /" + HEAD + b"Expect: 100-continue\r\n" + CHUNKED, [100, 200]),
    "trailers without an end": Case(b"GET /" + HEAD + CHUNKED + b"0\r\n" + b"X-Trailer: x\r\n" * 100, [200]),
    "a chunk that is none": Case(b"GET /" + HEAD + CHUNKED + b"x\r\n" * 20, [400]),
    "two requests and half of a third": Case((b"GET /healthz" + HEAD + b"\r\n") * 2 + b"GET /", [200, 200]),
    "a request after the last": Case(b"GET /healthz" + HEAD + b"Connection: close\r\n\r\nGET /" + HEAD, [400]),
    "HTTP/2 by prior knowledge": Case(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), [400]),
    "an upgrade to HTTP/2": Case(
        b"GET /healthz"
        + HEAD
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        [200],
    ),
    "an upgrade to HTTP/2 with a body": Case(
        b"GET /" + HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + CHUNKED + MANY_CHUNKS, [200]
    ),
    "HTTP/3.0": Case(b"GET /" + b" HTTP/3.0\r\nHost: localhost\r\n\r\n", [400]),
    "CONNECT": Case(b"CONNECT localhost:1" + HEAD + b"\r\n" + b"x" * 1000, [400]),
    "a websocket without a key": Case(websocket_handshake().replace(b"Sec-WebSocket-Key", b"X"), [400]),
    "a websocket with two keys": Case(websocket_handshake(b"/ws", b"Sec-WebSocket-Key: x"), [400]),
    "a websocket of version 8": Case(websocket_handshake().replace(b"Version: 13", b"Version: 8"), [426]),
    "a websocket without a version": Case(websocket_handshake().replace(b"Sec-WebSocket-Version", b"X"), [426]),
    "a websocket of HTTP/1.0": Case(websocket_handshake().replace(b"HTTP/1.1", b"HTTP/1.0"), [400]),
    "a websocket without Upgrade": Case(websocket_handshake().replace(b"Upgrade: websocket\r\n", b""), [400]),
    "a websocket without Connection": Case(websocket_handshake().replace(b"Connection: Upgrade\r\n", b""), [400]),
    "a websocket with bytes in Connection": Case(websocket_handshake(b"/ws", b"Connection: \xff"), [400]),
    "a websocket with bytes for a protocol": Case(websocket_handshake(b"/ws", b"Sec-WebSocket-Protocol: \xff"), [400]),
    "a websocket that speaks too early": Case(websocket_handshake() + frame(LAST | TEXT, b"x"), [400]),
    "a websocket with a body": Case(websocket_handshake(b"/ws", b"Content-Length: 5") + b"vote=", [400]),
    "a websocket where there is none": Case(websocket_handshake(b"/nothing"), [404]),
    "a websocket from elsewhere": Case(websocket_handshake(b"/ws", b"Origin: null"), [403]),
    "a websocket to no host": Case(websocket_handshake().replace(b"localhost", b"a..b"), [400]),
}
ELSEWHERE = {"a websocket without Upgrade", "a websocket without Connection", "a websocket from elsewhere"}
ELSEWHERE |= {"a websocket that speaks too early", "a websocket with a body"}


def answers_of(name: str, case: str) -> list[int]:
    """What each service says: only result has a WebSocket, and the worker no page."""
    answers = HELD[case].answers
    if name == "worker" and b" / HTTP" in HELD[case].sent and answers[-1] == 200:
        return [*answers[:-1], 404]
    if name != "result" and case in ELSEWHERE:
        return [404] if "without" in case or "elsewhere" in case else answers
    return answers


def read_to_end(connection: socket.socket, seconds: float) -> bytes:
    """All that comes until the service ends the connection; fails when it does not."""
    connection.settimeout(seconds)
    received = b""
    with suppress(ConnectionError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["vote", "result", "worker"])
def test_whatever_a_client_has_sent_it_can_not_hold_its_connection(services: Services, name: str) -> None:
    """Also with a body that nobody reads, with a refused WebSocket, and with HTTP/2."""
    url = services.url_of(name)
    with ExitStack() as stack:
        held = {case: stack.enter_context(connect(url)) for case in HELD}
        for case, connection in held.items():
            connection.sendall(HELD[case].sent)
        received = {case: read_to_end(connection, ENDS_SECONDS) for case, connection in held.items()}
        tried("connections held in every state that we know of", len(held))
    expected = {case: answers_of(name, case) for case in HELD}
    assert {case: statuses(each) for case, each in received.items()} == expected
    nobody_is_left(services, name)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["vote", "result", "worker"])
def test_who_has_gone_in_any_state_is_let_go(services: Services, name: str) -> None:
    """By a goodbye in order, by a reset, and after each part of what they had to say."""
    url = services.url_of(name)
    for case in HELD.values():
        for end in (len(case.sent), len(case.sent) // 2, 10):
            for is_reset in (False, True):
                with connect(url) as connection:
                    connection.sendall(case.sent[:end])
                    if is_reset:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                tried("clients that left in every state that we know of")
    nobody_is_left(services, name)


def nobody_is_left(services: Services, name: str) -> None:
    """Every connection has ended but that of whoever asks."""
    running = {"vote": services.vote, "worker": services.worker, "result": services.result}[name]
    eventually(lambda: open_connections(running) == 1, within=ENDS_SECONDS, saying="all connections have ended")
    assert services.complaints() == []


def open_connections(running: Service) -> float:
    return running.metric("connections_open")


@pytest.mark.parametrize("name", ["vote", "result", "worker"])
def test_what_is_sent_after_the_answer_is_not_kept(services: Services, name: str) -> None:
    """A client that goes on with its body is read for a while, so that it gets its answer, and then ended."""
    running = {"vote": services.vote, "worker": services.worker, "result": services.result}[name]
    before = memory(running)
    with connect(services.url_of(name)) as connection:
        connection.sendall(b"POST /nothing" + HEAD + CHUNKED)
        sent = send_until_refused(connection, b"1000\r\n" + b"x" * 4096 + b"\r\n", 100_000_000)
    assert sent < 20_000_000
    assert memory(running) < before + 5_000_000


def send_until_refused(connection: socket.socket, piece: bytes, most: int) -> int:
    """Send this again and again; returns how many bytes that were."""
    connection.settimeout(ENDS_SECONDS)
    sent = 0
    with suppress(ConnectionError):
        while sent < most:
            connection.sendall(piece)
            sent += len(piece)
    return sent


def memory(running: Service) -> float:
    """What the process holds, in bytes (Linux only)."""
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return 1024 * float(re.findall(r"VmRSS:\s+(\d+) kB", status)[0])


@pytest.mark.parametrize(
    ("body", "head"),
    [
        (b"x" * 1_000_000, b"Content-Length: 1000000\r\n\r\n"),
        (b"186a0\r\n" + b"x" * 100_000 + b"\r\n0\r\n\r\n", CHUNKED),
    ],
    ids=["with a length", "chunked"],
)
def test_who_sends_too_much_is_told_so_and_then_ended(services: Services, body: bytes, head: bytes) -> None:
    """The kernel would take the answer back if what follows it were not read."""
    for _ in range(10):
        with connect(services.vote.url) as connection:
            with suppress(ConnectionError):
                connection.sendall(b"POST /api/votes" + HEAD + LAST_JSON + head + body)
            assert statuses(read_to_end(connection, ENDS_SECONDS)) == [413]


def viewer(services: Services) -> socket.socket:
    """A viewer that has been let in."""
    connection = connect(services.result.url)
    connection.sendall(websocket_handshake())
    assert connection.recv(12) == b"HTTP/1.1 101"
    return connection


FLOODS = {
    "a message that is too long": frame(LAST | TEXT, b"x" * (MAX_MESSAGE_BYTES + 1)),
    "a message of a gigabyte": frame(LAST | TEXT, b"x" * 1000, length=1 << 30),
    "one message in many fragments": frame(TEXT, b"x"),
    "fragments of nothing": frame(TEXT, b""),
    "a flood of pings": frame(LAST | PING, b"x" * 125),
    "a flood of short messages": frame(LAST | TEXT, b"x"),
    "half a frame header, again and again": b"\x81",
}
FLOODS_BEGIN = {"one message in many fragments", "fragments of nothing"}


@pytest.mark.parametrize("case", FLOODS)
def test_a_viewer_that_floods_us_is_ended_and_nothing_of_it_is_kept(services: Services, case: str) -> None:
    before = memory(services.result)
    piece = FLOODS[case]
    with viewer(services) as connection:
        if case in FLOODS_BEGIN:
            connection.sendall(piece)
            piece = b"\0" + piece[1:]  # what goes on is named so
        piece *= max(1, 4096 // len(piece))
        sent = send_until_refused(connection, piece, 60_000_000)
        tried("viewers that flooded us")
    assert sent < 20_000_000
    assert memory(services.result) < before + 5_000_000
    eventually(lambda: services.result.metric("viewers") == 0, within=ENDS_SECONDS)


ENDED_WITH = {
    "a message that is too long": (frame(LAST | TEXT, b"x" * (MAX_MESSAGE_BYTES + 1)), 1009),
    "too long in parts": (frame(TEXT, b"x" * 600) + frame(LAST, b"x" * 600), 1009),
    "too much": (frame(LAST | TEXT, b"x" * 1000) * (MAX_HEARD_BYTES // 1000 + 1), 1008),
    "a compressed frame": (frame(LAST | 0x40 | TEXT, b"x"), 1002),
    "a frame of a kind that is none": (frame(LAST | 0x3, b"x"), 1002),
    "a ping that is too long": (frame(LAST | PING, b"x" * 126), 1002),
    "a text that is none": (frame(LAST | TEXT, b"\xff"), 1007),
    "a goodbye": (frame(LAST | 0x8, (1001).to_bytes(2, "big")), 1001),
    "a goodbye without a reason": (frame(LAST | 0x8, b""), 1000),
}


@pytest.mark.parametrize("case", ENDED_WITH)
def test_a_viewer_is_told_why_it_is_ended_and_need_not_answer(services: Services, case: str) -> None:
    sent, code = ENDED_WITH[case]
    with viewer(services) as connection:
        connection.sendall(sent)
        began = time.monotonic()
        received = read_to_end(connection, ENDS_SECONDS)
    assert b"\x88" + bytes([2]) + code.to_bytes(2, "big") in received
    assert time.monotonic() - began < LINGER_SECONDS + BUSY_SECONDS


@pytest.fixture
def small(services: Services, tmp_path: Path) -> Iterator[tuple[Service, Path]]:
    """A vote service with few places, and its log."""
    log = tmp_path / "log"
    with service("vote", redis_url=services.redis_url, log=str(log), MAX_CONNECTIONS="30", **NO_LIMITS) as vote:
        vote.until_ready()
        yield vote, log


def test_who_is_one_too_many_is_ended_at_once_and_health_checks_still_get_in(small: tuple[Service, Path]) -> None:
    vote, log = small
    most = vote.metric("connections_limit")
    with ExitStack() as stack:
        # this machine has places of its own beyond the limit, so only what is beyond them is refused
        held = [stack.enter_context(connect(vote.url)) for _ in range(100)]
        began = time.monotonic()
        refused = [each for each in held if is_ended_at_once(each)]
        assert time.monotonic() - began < HEADERS_SECONDS  # later, those that say nothing would have been ended as well
    assert most == 30
    assert len(refused) >= 100 - 30 - 20
    eventually(lambda: vote.metric("connections_open") == 1, within=ENDS_SECONDS, despite=(Exception,))
    said = log.read_text()
    assert said.count('"connections_full"') == 1
    assert said.count('"connections_have_room"') == 1


def is_ended_at_once(connection: socket.socket) -> bool:
    connection.settimeout(0.05)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_an_exchange_has_an_end_whatever_is_read_of_its_answer() -> None:
    """Longer than the ten seconds that a body has, so that its sender is told."""
    from common.web import BODY_SECONDS

    assert BODY_SECONDS < EXCHANGE_SECONDS

"""Requests as no library sends them: raw bytes to a port, raw bytes back."""

import re
import socket
from urllib.parse import urlsplit

ANSWER_SECONDS = 20.0
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


def connect(url: str) -> socket.socket:
    """A connection to a service."""
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname or "", address.port or 0), timeout=ANSWER_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def request(method: str, target: bytes, headers: dict[bytes, bytes] | None = None, body: bytes = b"") -> bytes:
    """A request, whatever its parts look like."""
    lines = [method.encode() + b" " + target + b" HTTP/1.1"]
    fields = {b"Host": b"localhost", b"Connection": b"close", b"Content-Length": b"%d" % len(body)} | (headers or {})
    lines += [name + b": " + value for name, value in fields.items()]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def answer(url: str, sent: bytes, *, look_seconds: float = 0) -> bytes:
    """All that a service answers to these bytes, after which nothing follows; or what it has answered after a look."""
    with connect(url) as connection:
        received = b""
        try:
            connection.sendall(sent)
            if look_seconds:
                connection.settimeout(look_seconds)
            else:
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                received += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass  # the service may end a connection on which it has been sent nonsense
        except TimeoutError:
            if not look_seconds:
                raise
        return received


def statuses(received: bytes) -> list[int]:
    """The status of every answer in it."""
    return [int(status) for status in STATUS.findall(received)]


def assert_no_fault(received: bytes) -> None:
    """No 5xx, and nothing of our inside; but 501 is right for a Transfer-Encoding that nobody knows."""
    assert not [status for status in statuses(received) if status >= 500 and status != 501], received[:500]
    assert b"Traceback" not in received
    assert b"site-packages" not in received


def websocket_handshake(path: bytes = b"/ws", *more: bytes) -> bytes:
    """What opens a WebSocket."""
    lines = (
        b"GET %b HTTP/1.1" % path,
        *(b"Host: localhost", b"Upgrade: websocket", b"Connection: Upgrade"),
        *(b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        *more,
    )
    return b"\r\n".join(lines) + b"\r\n\r\n"

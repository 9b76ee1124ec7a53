"""A light WebSocket client: it only reads, so that thousands of them fit on one core."""

import asyncio
from collections.abc import Callable

TEXT, CLOSE, PING = 0x1, 0x8, 0x9
PONG = b"\x8a\x80\0\0\0\0"
SHORT, MEDIUM = 125, 126
REQUEST = (
    "GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


class Viewer(asyncio.Protocol):
    """One connection; `on_text` gets every text that comes."""

    def __init__(self, host: str, on_text: Callable[["Viewer", bytes], None]) -> None:
        self.is_open = False
        self.opened = asyncio.Event()
        self.messages = 0
        self._transport: asyncio.Transport | None = None
        self._request = REQUEST.format(host=host).encode()
        self._on_text = on_text
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        unread = self._unread + data if self._unread else data
        if not self.is_open:
            head, end, rest = unread.partition(b"\r\n\r\n")
            self.is_open = bool(end) and head.startswith(b"HTTP/1.1 101")
            if self.is_open:
                self.opened.set()
                unread = rest
        self._unread = self._texts(unread) if self.is_open else unread

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False

    def _texts(self, unread: bytes) -> bytes:
        """Hand over each whole frame; returns what is left."""
        at = 0
        while len(unread) - at >= 4:
            kind, length, begin = unread[at] & 0x0F, unread[at + 1], at + 2
            if length == MEDIUM:
                length, begin = int.from_bytes(unread[at + 2 : at + 4], "big"), at + 4
            elif length > SHORT:
                raise ValueError("a snapshot has less than 64 KiB")
            if len(unread) < begin + length:
                break
            if kind == TEXT:
                self.messages += 1
                self._on_text(self, unread[begin : begin + length])
            elif kind == PING and self._transport is not None:
                self._transport.write(PONG)
            at = begin + length
        return unread[at:]


async def open_viewers(port: int, number: int, on_text: Callable[[Viewer, bytes], None]) -> list[Viewer]:
    """So many viewers, all of which are connected."""
    loop = asyncio.get_running_loop()
    viewers: list[Viewer] = []
    host = "127.0.0.1"
    while len(viewers) < number:
        some = [Viewer(f"{host}:{port}", on_text) for _ in range(min(50, number - len(viewers)))]
        for viewer in some:
            await loop.create_connection(lambda viewer=viewer: viewer, host, port)  # type: ignore[misc]
        async with asyncio.timeout(30):
            await asyncio.gather(*(viewer.opened.wait() for viewer in some))
        viewers += some
    return viewers

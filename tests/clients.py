"""An HTTP client of the careful kind: it keeps its connection as long as the service lets it, and retries nothing."""

import asyncio
import re
import select
from collections.abc import Sequence
from dataclasses import dataclass

ANSWER_SECONDS = 40.0


class Failed(Exception):
    """A request had no answer."""


@dataclass
class Answer:
    """What a request was answered."""

    status: int
    head: str
    body: bytes

    @property
    def cookies(self) -> list[str]:
        return re.findall(r"^set-cookie: (.*?)\r?$", self.head, re.MULTILINE)


class Client:
    """One client; `pauses` are those of a slow sender, between the pieces of a request."""

    def __init__(self, port: int, *, keeps: bool = True, pauses: Sequence[float] = ()) -> None:
        self._port = port
        self._keeps = keeps
        self._pauses = pauses
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """Send a request; returns the answer, or raises Failed."""
        fields = {"Host": "localhost", "Content-Length": str(len(body)), **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        request = f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body
        reader, writer = await self._connection()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._send(writer, request)
                answer = await _answer(reader)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.close()
            raise Failed(f"{method} {path}: {error!r}") from error
        if not self._keeps or "\nconnection: close\r" in answer.head:
            self.close()
        return answer

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._open is not None and _is_ended(self._open[1]):  # while nothing was asked
            self.close()
        if self._open is None:
            self._open = await asyncio.open_connection("127.0.0.1", self._port)
        return self._open

    async def _send(self, writer: asyncio.StreamWriter, request: bytes) -> None:
        piece = len(request) // (len(self._pauses) + 1) + 1
        for place, pause in enumerate((*self._pauses, 0.0)):
            await asyncio.sleep(pause)
            writer.write(request[place * piece : (place + 1) * piece])
            await writer.drain()

    def close(self) -> None:
        """End the connection."""
        if self._open is not None:
            self._open[1].close()
        self._open = None


def _is_ended(writer: asyncio.StreamWriter) -> bool:
    """Whether the service has ended the connection: the kernel knows before the event loop does."""
    if writer.transport.is_closing():
        return True
    poll = select.poll()
    poll.register(writer.get_extra_info("socket"), select.POLLIN)
    return bool(poll.poll(0))


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"content-length: (\d+)", head)
    body = await reader.readexactly(int(length[1])) if length else b""
    return Answer(int(head[9:12]), head, body)

"""Snapshots a second that one core sends to many viewers, beside a WebSocket server that does nothing else."""

import asyncio
import itertools
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import cast

import asyncpg

from bench.settings import HOST, BenchError, whole_number
from bench.speed.bare import UPDATES_PER_SECOND
from bench.speed.place import Place, Running
from bench.speed.stage import FIGURE, Goal, Measured, Stage, percentile
from common.connection_limits import raise_file_limit
from worker.schema import SCHEMA

VIEWERS = 2000
WARM_UP_SECONDS = 1.0
READ_AT = re.compile(rb'"read_at": "([^"]+)"')

TEXT, PING = 0x1, 0x9
PONG = b"\x8a\x80\0\0\0\0"
SHORT, MEDIUM = 125, 126
REQUEST = (
    "GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


def _ours(here: Place) -> Measured:
    with here.postgres() as postgres, result(here, postgres) as server:
        return watched(here, server, _number(), postgres)


def _bare(here: Place) -> Measured:
    with here.server("bench.speed.bare", "viewers", "{port}", str(_number())) as server:
        return watched(here, server, _number())


def _number() -> int:
    return whole_number("VIEWERS", VIEWERS, least=10)


STAGES = (
    Stage(
        name="viewers",
        what="snapshots sent to 2,000 viewers (or VIEWERS=...), 10 updates/s",
        against="a bare WebSocket server on Hypercorn, the same bytes",
        unit="messages/s",
        goal=0.9,
        sense="at least",
        contenders={"result": _ours, "bare": _bare},
        also=(Goal("slowest viewer", 4, "at least", "updates/s"), Goal("p99 ms", 500, "at most", "ms")),
    ),
)


@contextmanager
def result(here: Place, database_url: str) -> Iterator[Running]:
    """The result service, with our tables."""
    asyncio.run(_make_tables(database_url))
    with here.server("result", DATABASE_URL=database_url, RESULT_PORT="{port}") as server:
        yield server


def watched(here: Place, server: Running, viewers: int, database_url: str = "") -> dict[str, float]:
    """What so many viewers got; with a database, a vote is recorded ten times a second, to have something to show.

    By the core: in a second of the server's processor time.
    """
    raise_file_limit()
    return here.run(_watch(server, viewers, here.seconds, database_url), core=here.load_core)


class Viewer(asyncio.Protocol):
    """A WebSocket client that only reads, so that thousands fit on one core; `on_text` gets every text that comes."""

    def __init__(self, host: str, on_text: Callable[["Viewer", bytes], None]) -> None:
        self.is_open = False
        self.opened = asyncio.Event()
        self.messages = 0
        self._transport: asyncio.Transport | None = None
        self._request = REQUEST.format(host=host).encode()
        self._on_text = on_text
        self._unread = b""

    async def connect(self, port: int) -> None:
        """Connect, and ask for the WebSocket; `opened` is set when it is there."""
        await asyncio.get_running_loop().create_connection(lambda: self, HOST, port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        unread = self._unread + data if self._unread else data
        if not self.is_open:
            head, end, rest = unread.partition(b"\r\n\r\n")
            self.is_open = bool(end) and head.startswith(b"HTTP/1.1 101")
            if self.is_open:
                self.opened.set()
                unread = rest
        self._unread = self._texts(unread) if self.is_open else unread

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.abort()

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
    viewers: list[Viewer] = []
    while len(viewers) < number:
        some = [Viewer(f"{HOST}:{port}", on_text) for _ in range(min(50, number - len(viewers)))]
        for viewer in some:
            await viewer.connect(port)
        async with asyncio.timeout(30):
            await asyncio.gather(*(viewer.opened.wait() for viewer in some))
        viewers += some
    return viewers


class Ages:
    """How old each message was when it came."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._read_at: dict[bytes, float] = {}  # most messages are the same for all

    def note(self, viewer: Viewer, text: bytes) -> None:
        if (read_at := self._read_at.get(text)) is None:
            found = READ_AT.search(text)
            assert found, text
            read_at = self._read_at[text] = datetime.fromisoformat(found[1].decode()).timestamp()
        self.seconds.append(time.time() - read_at)


async def _watch(server: Running, number: int, seconds: float, database_url: str) -> dict[str, float]:
    ages = Ages()
    async with asyncio.TaskGroup() as tasks:
        viewers = await open_viewers(server.port, number, ages.note)
        # only now: a server that is busy with its viewers opens new ones slowly
        voting = tasks.create_task(_vote(database_url)) if database_url else None
        await asyncio.sleep(WARM_UP_SECONDS)
        before = [viewer.messages for viewer in viewers]
        ages.seconds.clear()
        began, busy = time.perf_counter(), server.busy_seconds()
        await asyncio.sleep(seconds)
        busy = server.busy_seconds() - busy
        took = time.perf_counter() - began
        if voting:
            voting.cancel()
    got = [viewer.messages - earlier for viewer, earlier in zip(viewers, before, strict=True)]
    if lost := sum(not viewer.is_open for viewer in viewers):
        raise BenchError(f"{lost} of {number} viewers lost their connection")
    for viewer in viewers:
        viewer.close()
    by_clock = sum(got) / took
    return {
        FIGURE: sum(got) / busy if busy else by_clock,
        "by the clock": by_clock,
        "busy": busy / took,
        "slowest viewer": min(got) / took,
        "p50 ms": 1000 * percentile(ages.seconds, 50),
        "p99 ms": 1000 * percentile(ages.seconds, 99),
    }


async def _vote(database_url: str) -> None:
    """Record a vote of a new voter ten times a second."""
    connection = await asyncpg.connect(database_url)
    began = time.perf_counter()
    for number in itertools.count(1):
        voter_id, option = f"watched-{time.time_ns()}", "ab"[number % 2]
        await connection.execute("INSERT INTO votes (voter_id, vote, cast_at) VALUES ($1, $2, now())", voter_id, option)
        await asyncio.sleep(max(0.0, began + number / UPDATES_PER_SECOND - time.perf_counter()))


async def _make_tables(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(SCHEMA.read_text(encoding="utf-8"))
    await connection.close()

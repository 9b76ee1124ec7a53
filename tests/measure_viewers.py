"""How long viewers are in the dark while result is replaced: `python -m tests.measure_viewers 2000`."""

import asyncio
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

import asyncpg

from common.connection_limits import raise_file_limit
from local import servers
from tests.robustness.raw import websocket_handshake
from tests.services import PROJECT
from tests.supervisor import Process, supervised
from worker.schema import SCHEMA

CHANGE_SECONDS = 0.1  # from one vote to the next
SETTLE_SECONDS = 3.0
ROUNDS = 3


class Viewer(asyncio.Protocol):
    """An open dashboard: connects again at once when the service says goodbye."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.closed_at = self.first_at = 0.0  # of the last connection, and of the first snapshot of the next one
        self.shown = asyncio.Event()
        self._transport: asyncio.BaseTransport | None = None
        self._has_left = False

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", self._port)
        self._transport.write(websocket_handshake())

    def data_received(self, data: bytes) -> None:
        if b'"read_at"' in data:
            if not self.shown.is_set():
                self.first_at = time.monotonic()
            self.shown.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed_at = time.monotonic()
        self.shown.clear()
        if not self._has_left:
            self.task = asyncio.get_running_loop().create_task(self.connect())

    def leave(self) -> None:
        """Close the dashboard."""
        self._has_left = True
        if self._transport is not None:
            self._transport.close()


async def cast_votes(database_url: str) -> None:
    """So that there is something new to see."""
    connection = await asyncpg.connect(database_url)
    number = 0
    while True:
        number += 1
        await connection.execute("INSERT INTO votes (voter_id, vote, cast_at) VALUES ($1, 'a', now())", f"v{number}")
        await asyncio.sleep(CHANGE_SECONDS)


def memory(process: Process) -> float:
    """What it holds, in MB."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    return float(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


async def measure(number: int, folder: Path, database_url: str) -> None:
    with supervised("result", folder / "log", DATABASE_URL=database_url) as result:
        viewers = [Viewer(result.port) for _ in range(number)]
        for place, viewer in enumerate(viewers):
            await viewer.connect()
            if place % 50 == 0:
                await asyncio.sleep(0.02)
        for _ in range(ROUNDS):
            await asyncio.gather(*(viewer.shown.wait() for viewer in viewers))
            await asyncio.sleep(SETTLE_SECONDS)
            old, new = result.serving, result.start()
            await asyncio.to_thread(new.until_ready)
            before, used = [memory(each) for each in (old, new)], [processor(new), time.process_time()]
            began = time.monotonic()
            old.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(old.process.wait)
            ended = time.monotonic() - began
            await asyncio.gather(*(viewer.shown.wait() for viewer in viewers))
            report(viewers, began)
            print(f"  the old one ended after {ended:.2f} s; processor's time meanwhile: the new one")
            print(f"  {processor(new) - used[0]:.2f} s, the viewers {time.process_time() - used[1]:.2f} s")
            await asyncio.sleep(SETTLE_SECONDS)
            print(f"  memory: the old one {before[0]:.0f} MB; the new one {before[1]:.0f}, then {memory(new):.0f}")
        for viewer in viewers:
            viewer.leave()


def processor(process: Process) -> float:
    """The processor's time that it has used."""
    fields = Path(f"/proc/{process.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(viewers: list[Viewer], began: float) -> None:
    firsts = sorted(viewer.first_at - began for viewer in viewers)
    gaps = sorted(1000 * (viewer.first_at - viewer.closed_at) for viewer in viewers)
    at = int(0.99 * len(viewers))
    print(
        f"{len(viewers)} viewers: 99 % see the present again {firsts[at]:.2f} s after the signal, all {firsts[-1]:.2f};"
    )
    print(f"  each was in the dark for {gaps[len(gaps) // 2]:.0f} ms (median), {gaps[at]:.0f} ms (99 %)")


async def main(number: int) -> None:
    """Measure on a PostgreSQL of our own."""
    raise_file_limit()
    (PROJECT / ".data").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PROJECT / ".data") as name, servers.postgres(Path(name)) as postgres:
        connection = await asyncpg.connect(postgres.url)
        await connection.execute(SCHEMA.read_text(encoding="utf-8"))
        casting = asyncio.create_task(cast_votes(postgres.url))
        await measure(number, Path(name), postgres.url)
        casting.cancel()
        await connection.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

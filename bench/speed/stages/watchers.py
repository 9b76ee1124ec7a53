"""Many viewers in one process: `python -m bench.speed.stages.watchers PORT PID VIEWERS SECONDS [DATABASE_URL]`.

PID is the server's. With a database, a vote is recorded ten times a second, so that there is something to show. Prints
JSON: messages a second, those of the viewer that got the fewest, and how old messages were when they came.
"""

import asyncio
import itertools
import json
import os
import re
import sys
import time
from datetime import datetime

import asyncpg

from bench.speed.figures import percentile
from bench.speed.stages.frames import Viewer, open_viewers
from bench.speed.stages.web_servers import busy_seconds
from common.connection_limits import raise_file_limit

UPDATES_PER_SECOND = 10
WARM_UP_SECONDS = 1.0
READ_AT = re.compile(rb'"read_at": "([^"]+)"')


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


async def main(port: int, pid: int, number: int, seconds: float, database_url: str = "") -> dict[str, float]:
    """Open them, warm up, count."""
    ages = Ages()
    async with asyncio.TaskGroup() as tasks:
        viewers = await open_viewers(port, number, ages.note)
        # not before: a server that is busy with its viewers opens new ones slowly
        voting = tasks.create_task(vote(database_url)) if database_url else None
        await asyncio.sleep(WARM_UP_SECONDS)
        before = [viewer.messages for viewer in viewers]
        ages.seconds.clear()
        began, busy = time.perf_counter(), busy_seconds(pid)
        await asyncio.sleep(seconds)
        busy = busy_seconds(pid) - busy
        took = time.perf_counter() - began
        if voting:
            voting.cancel()
    got = [viewer.messages - earlier for viewer, earlier in zip(viewers, before, strict=True)]
    if not all(viewer.is_open for viewer in viewers):
        sys.exit(f"{sum(not viewer.is_open for viewer in viewers)} of {number} viewers lost their connection")
    return {
        "messages": sum(got),
        "seconds": took,
        "busy": busy,
        "slowest viewer": min(got) / took,
        "p50 ms": 1000 * percentile(ages.seconds, 50),
        "p99 ms": 1000 * percentile(ages.seconds, 99),
    }


async def vote(database_url: str) -> None:
    """Record a vote of a new voter ten times a second."""
    connection = await asyncpg.connect(database_url)
    began = time.perf_counter()
    for number in itertools.count(1):
        voter_id, option = f"watched-{os.getpid()}-{number}", "ab"[number % 2]
        await connection.execute("INSERT INTO votes (voter_id, vote, cast_at) VALUES ($1, $2, now())", voter_id, option)
        await asyncio.sleep(max(0.0, began + number / UPDATES_PER_SECOND - time.perf_counter()))


if __name__ == "__main__":
    raise_file_limit()
    arguments = sys.argv[1:]
    port, pid, number = map(int, arguments[:3])
    print(json.dumps(asyncio.run(main(port, pid, number, float(arguments[3]), *arguments[4:]))))

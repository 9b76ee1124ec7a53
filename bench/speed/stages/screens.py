"""Votes at a steady pace while viewers watch: `python -m bench.speed.stages.screens VOTE_PORT RESULT_PORT SECONDS`.

From the moment a vote is sent until a viewer is shown a total with it, for every vote and every viewer. Prints JSON.
Every vote is of a new voter, so the total says which votes are in it: they are counted in the order of the queue.
"""

import asyncio
import itertools
import json
import re
import sys
import time

from bench.speed.figures import percentile
from bench.speed.stages.frames import Viewer, open_viewers

VOTES_PER_SECOND = 200
VIEWERS = 100
CONNECTIONS = 32
SETTLE_SECONDS = 1.0
TOTAL = re.compile(rb'"total": (\d+)')
BODY = b'{"vote": "a"}'
REQUEST = (
    b"POST /api/votes HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    % (len(BODY), BODY)
)


class Screens:
    """When each viewer was shown which total."""

    def __init__(self) -> None:
        self.shown: dict[Viewer, list[tuple[float, int]]] = {}

    def note(self, viewer: Viewer, text: bytes) -> None:
        found = TOTAL.search(text)
        assert found, text
        self.shown.setdefault(viewer, []).append((time.perf_counter(), int(found[1])))

    def delays(self, sent: list[float], before: int) -> list[float]:
        """For each vote and viewer, the seconds until the viewer was shown it; raises if one never was."""
        found = []
        for shown in self.shown.values():
            updates = iter(shown)
            at, total = next(updates)
            for number, moment in enumerate(sent, before + 1):
                while total < number:
                    try:
                        at, total = next(updates)
                    except StopIteration:
                        raise LookupError(f"vote {number} was never shown, the last total was {total}") from None
                found.append(at - moment)
        return found


async def main(vote_port: int, result_port: int, seconds: float) -> dict[str, float]:
    """Open the viewers, vote, wait for the last vote to be shown."""
    screens = Screens()
    await open_viewers(result_port, VIEWERS, screens.note)
    await vote(vote_port, VOTES_PER_SECOND, [])  # a second of warming up
    await asyncio.sleep(SETTLE_SECONDS)
    before = max(shown[-1][1] for shown in screens.shown.values())
    sent: list[float] = []
    await vote(vote_port, round(VOTES_PER_SECOND * seconds), sent)
    await asyncio.sleep(SETTLE_SECONDS)
    delays = screens.delays(sorted(sent), before)
    updates = sum(len(shown) for shown in screens.shown.values()) / VIEWERS / (seconds + 1)
    return {
        "p50 ms": 1000 * percentile(delays, 50),
        "p99 ms": 1000 * percentile(delays, 99),
        "updates/s": updates,
    }


async def vote(port: int, number: int, sent: list[float]) -> None:
    """So many votes at their times, whoever has a connection free."""
    turns = itertools.count()
    began = time.perf_counter()

    async def voter() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (turn := next(turns)) < number:
            await asyncio.sleep(max(0.0, began + turn / VOTES_PER_SECOND - time.perf_counter()))
            sent.append(time.perf_counter())
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 202 " not in head.split(b"\r\n", 1)[0]:
                sys.exit(f"a vote was not accepted: {head!r}")
            length = re.search(rb"content-length: (\d+)", head.lower())
            assert length, head
            await reader.readexactly(int(length[1]))
        writer.close()

    await asyncio.gather(*(voter() for _ in range(CONNECTIONS)))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))))

"""The whole system: from a vote to the screens, memory, and start."""

import asyncio
import itertools
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from bench.processes import memory_bytes
from bench.settings import HOST, BenchError
from bench.speed.place import Place
from bench.speed.stage import FIGURE, Contender, Goal, Measured, Stage, percentile
from bench.speed.viewers import Viewer, open_viewers
from proof.system import System

IDLE_SECONDS = 3.0
SERVERS = ("postgres", "redis-server", "valkey-server")

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


@contextmanager
def _started(here: Place) -> Iterator[tuple[System, float]]:
    """`make up` on ports of its own, and how long it took to be ready. Twice at one place is a second start."""
    began = time.monotonic()
    system = System(here.folder / "data", {"HOST": HOST})
    try:
        system.wait_until_ready()
        yield system, time.monotonic() - began
    except AssertionError as error:  # the way in which the system says that it did not start
        raise BenchError(str(error)) from None
    finally:
        system.end()


def _screens(here: Place) -> Measured:
    with _started(here) as (system, _):
        facts = system.facts()
        vote_port, result_port = (urlsplit(url).port or 0 for url in (facts.vote_url, facts.result_url))
        return here.run(_watch(vote_port, result_port, here.seconds), core=here.load_core)


def _idle(here: Place) -> Measured:
    with _started(here) as (system, _):
        time.sleep(IDLE_SECONDS)
        used = memory_bytes(system.process.pid, without=SERVERS)
    if used is None:
        raise BenchError("this system does not tell the memory of a process: STAGES=... without this stage")
    return used / 1024**2


def _second_start(here: Place) -> Measured:
    with _started(here) as (_, first_seconds):
        pass
    with _started(here) as (_, seconds):
        return {FIGURE: seconds, "first start s": first_seconds}


def _stage(
    name: str, what: str, goal: float, unit: str, measure: Contender, *also: Goal, rounds: int | None = None
) -> Stage:
    return Stage(name, what, "-", unit, goal, "at most", {"make up": measure}, also, rounds=rounds)


STAGES = (
    _stage(
        *("screen", "vote to screen, the median; 200 votes/s, 100 viewers", 30, "ms", _screens),
        Goal("p99 ms", 120, "at most", "ms"),
    ),
    _stage("memory", "memory when idle, without PostgreSQL and Redis", 250, "MB", _idle, rounds=1),
    _stage("start", "second start of make up, until all is ready", 4, "s", _second_start),
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
                        raise BenchError(f"vote {number} was never shown, the last total was {total}") from None
                found.append(at - moment)
        return found


async def _watch(vote_port: int, result_port: int, seconds: float) -> dict[str, float]:
    """From sending a vote until a viewer is shown a total with it, over every vote and every viewer.

    Each vote is of a new voter, so the total says which votes are in it: they are counted in the order of the queue.
    """
    screens = Screens()
    viewers = await open_viewers(result_port, VIEWERS, screens.note)
    await _vote(vote_port, VOTES_PER_SECOND, [])  # a second of warming up
    await asyncio.sleep(SETTLE_SECONDS)
    before = max(shown[-1][1] for shown in screens.shown.values())
    sent: list[float] = []
    await _vote(vote_port, round(VOTES_PER_SECOND * seconds), sent)
    await asyncio.sleep(SETTLE_SECONDS)
    for viewer in viewers:
        viewer.close()
    delays = screens.delays(sorted(sent), before)
    updates = sum(len(shown) for shown in screens.shown.values()) / VIEWERS / (seconds + 1)
    p50, p99 = (1000 * percentile(delays, percent) for percent in (50, 99))
    return {FIGURE: p50, "p99 ms": p99, "updates/s": updates}


async def _vote(port: int, number: int, sent: list[float]) -> None:
    """So many votes at their times, whoever has a connection free."""
    turns = itertools.count()
    began = time.perf_counter()

    async def voter() -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        while (turn := next(turns)) < number:
            await asyncio.sleep(max(0.0, began + turn / VOTES_PER_SECOND - time.perf_counter()))
            sent.append(time.perf_counter())
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 202 " not in head.split(b"\r\n", 1)[0]:
                raise BenchError(f"a vote was not accepted: {head!r}")
            length = re.search(rb"content-length: (\d+)", head.lower())
            assert length, head
            await reader.readexactly(int(length[1]))
        writer.close()

    await asyncio.gather(*(voter() for _ in range(CONNECTIONS)))

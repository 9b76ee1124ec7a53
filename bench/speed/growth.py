"""What a vote or a message costs as things grow: `make bench-growth`, MAX=100000 for less.

Says of each curve from where on it bends upward, and leaves it in .data/bench/: the figures in growth.json, a chart in
growth.md (Mermaid, as in the project's other pages).
"""

import json
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import asyncpg
from redis.asyncio import Redis

from bench.machine import machine, sentence
from bench.settings import BenchError, alone, end_by_signals, results_folder, whole_number
from bench.speed.place import Place, place
from bench.speed.reading import fill_up
from bench.speed.recording import BATCH, be_quiet, make_votes, push
from bench.speed.stage import FIGURE
from bench.speed.viewers import result, watched
from common.ballot import KEYS
from common.vote_queue import VOTES, VoteQueue
from worker.batch import QueueHead
from worker.count import count_batch
from worker.counter import CONNECTION_SETTINGS
from worker.schema import SCHEMA

LARGEST = 10_000_000
SECONDS = 3.0
BATCHES = 6
TOLERANCE = 1.5  # below that, a rise is what a busy machine does

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """What one thing costs by the size of another; `measure` gives the cost of each of these sizes in microseconds."""

    name: str
    title: str
    what_grows: str
    sizes: tuple[int, ...]
    measure: "Measure"


@dataclass(frozen=True)
class Worker:
    """What a worker has, in this process."""

    connection: asyncpg.Connection
    queue: VoteQueue
    redis: Redis
    chance: random.Random

    async def push(self, number: int, options: int = 2) -> None:
        """Votes of new voters."""
        await push(self.redis, make_votes(number, "".join(sorted(KEYS))[:options], self.chance))

    async def microseconds(self, limit: int = BATCH) -> float:
        """For a vote of the queue: those of the quickest batch, because others are slow for reasons of the machine."""
        quickest = float("inf")
        head = QueueHead(self.queue, limit)
        for _ in range(BATCHES):
            began = time.perf_counter()
            if counted := await count_batch(self.connection, self.queue, head):
                quickest = min(quickest, (time.perf_counter() - began) / counted)
        return 1e6 * quickest


Measure = Callable[[Place, Sequence[int]], Points]
# Given a worker, the size before and the next one.
Prepare = Callable[[Worker, int, int], Awaitable[None]]


async def _store(worker: Worker, before: int, number: int) -> None:
    await fill_up(worker.connection, before, number)
    await worker.push(BATCH * BATCHES)


async def _let_wait(worker: Worker, _: int, number: int) -> None:
    await worker.redis.delete(VOTES)
    await worker.push(number)
    await worker.connection.execute("TRUNCATE votes")


async def _offer(worker: Worker, _: int, number: int) -> None:
    await worker.connection.execute("TRUNCATE votes")
    await worker.push(BATCH * BATCHES, number)


def _viewers(here: Place, sizes: Sequence[int]) -> Points:
    """Of the result service's processor time, for a message."""
    points = []
    with here.postgres() as postgres:
        for number in sizes:
            with result(here, postgres) as server:
                figures = watched(here, server, number, postgres)
            points.append((float(number), 1e6 / figures[FIGURE]))
    return points


def _recording(prepare: Prepare, batch: int = BATCH) -> Measure:
    """A vote's recording at each size, in this process, which is on the server's core meanwhile."""

    async def grow(database_url: str, redis_url: str, sizes: Sequence[int]) -> Points:
        points = []
        connection = await asyncpg.connect(database_url, server_settings=CONNECTION_SETTINGS)
        await connection.execute(SCHEMA.read_text(encoding="utf-8"))
        # filling takes longer than a worker may
        await connection.execute("SET statement_timeout = 0; SET idle_session_timeout = 0")
        async with VoteQueue.open(redis_url) as queue, Redis.from_url(redis_url) as redis:
            worker = Worker(connection, queue, redis, random.Random(7))
            for before, number in pairwise((0, *sizes)):
                await prepare(worker, before, number)
                points.append((float(number), await worker.microseconds(batch)))
        await connection.close()
        return points

    def measure(here: Place, sizes: Sequence[int]) -> Points:
        with here.postgres() as database_url, here.redis() as redis_url:
            return here.run(grow(database_url, redis_url, sizes), core=here.server_core)

    return measure


CURVES = (
    Curve("stored", "Recording a vote", "votes stored", tuple(10**power for power in range(3, 8)), _recording(_store)),
    # in batches of a thousand, because the shortest queue has no more
    Curve(
        *("waiting", "Recording a vote of a long queue", "votes waiting", tuple(10**power for power in range(3, 7))),
        _recording(_let_wait, batch=1_000),
    ),
    Curve("options", "Recording a vote of a long ballot", "options", (2, 5, 10, 26), _recording(_offer)),
    Curve("viewers", "A snapshot for one viewer (processor time)", "viewers", (10, 100, 1000, 2000, 5000), _viewers),
)


def main() -> int:
    """Measure every curve, and say what it does."""
    end_by_signals()
    be_quiet()
    facts = machine()
    try:
        folder, most = results_folder("bench"), whole_number("MAX", LARGEST, least=10)
        measured: dict[Curve, Points] = {}
        with alone(folder):
            for curve in CURVES:
                with place(folder / "run", SECONDS) as here:
                    measured[curve] = curve.measure(here, [size for size in curve.sizes if size <= most])
                print(verdict(curve, measured[curve]), flush=True)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    text = "\n".join([*(page(*each) for each in measured.items()), f"Measured on {sentence(facts)}.\n"])
    figures = {"machine": facts, "curves": {curve.name: list(points) for curve, points in measured.items()}}
    (folder / "growth.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (folder / "growth.md").write_text(text, encoding="utf-8")
    print(f"(also in {folder}: growth.md, growth.json)")
    return 0


def bend(points: Points, tolerance: float = TOLERANCE) -> float | None:
    """The size from which on the cost stays above what it was before; None if it never does.

    The points are (size, cost) in rising order. A cost counts as higher when it is more than `tolerance` times the
    least cost at any smaller size, and so are all after it: one slow point is noise.
    """
    found = None
    for at in range(len(points) - 1, 0, -1):
        least = min(cost for _, cost in points[:at])
        if points[at][1] <= tolerance * least:
            break
        found = points[at][0]
    return found


def verdict(curve: Curve, points: Points) -> str:
    """Whether and from where on it bends upward."""
    if not points:
        return f"{curve.title}: not measured, MAX is below the smallest size"
    (small, first), (large, last) = points[0], points[-1]
    span = f"{first:.1f} µs with {small:,.0f} {curve.what_grows}, {last:.1f} with {large:,.0f}"
    at = bend(points)
    return f"{curve.title}: {span}; " + ("does not bend upward" if at is None else f"bends upward from {at:,.0f} on")


def page(curve: Curve, points: Points) -> str:
    """The verdict and a chart, in Markdown."""
    if not points:
        return f"{verdict(curve, points)}\n"
    sizes = ", ".join(f'"{size:,.0f}"' for size, _ in points)
    costs = ", ".join(f"{cost:.1f}" for _, cost in points)
    return f"""{verdict(curve, points)}

```mermaid
xychart-beta
  title "{curve.title}"
  x-axis "{curve.what_grows}" [{sizes}]
  y-axis "µs" 0 --> {1.25 * max(cost for _, cost in points):.0f}
  line [{costs}]
```
"""


if __name__ == "__main__":
    sys.exit(main())

"""The pipeline at work: how many votes are accepted, wait and are recorded, and who counts them.

One look serves everybody who watches, and nobody looks when nobody watches: a look is taken when somebody asks and the
last one is too old.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog

from common.overview import Overview
from common.web import rfc3339
from result.pipeline_sources import NotSeen, State, Workers
from result.pipeline_verdict import Findings, verdict
from result.pipeline_words import words

LOOK_AT_MOST_EVERY_SECONDS = 0.8  # less than the second in which a page asks again, or it would get one look twice
RATE_ACROSS_SECONDS = 5.0  # a rate across a longer gap would say little about now
HISTORY = 60  # looks: a page that is opened beside others, or reloaded, has its charts at once
CHARTED = ("read_at", "accepted", "waiting", "oldest_waiting_seconds", "recorded", "rejected", "viewers", "workers")
REASON_CHARACTERS = 200

log = structlog.get_logger()

Answer = TypeVar("Answer")


async def _not_configured() -> Any:
    raise NotSeen("not_configured", "nobody said where it is")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look; each raises NotSeen when it can't tell."""

    queue: Callable[[], Awaitable[Overview]] = _not_configured
    workers: Callable[[], Awaitable[Workers]] = _not_configured
    viewers: Callable[[], int] = lambda: 0


@dataclass(frozen=True, slots=True)
class _Totals:
    at: float
    accepted: int
    recorded: int


class Pipeline:
    """Looks at the pipeline for those who ask."""

    def __init__(self, sources: Sources, clock: Callable[[], float] = time.monotonic) -> None:
        self.history: deque[dict[str, Any]] = deque(maxlen=HISTORY)
        self._sources = sources
        self._clock = clock
        self._looking = asyncio.Lock()
        self._report: dict[str, Any] | None = None
        self._looked_at = 0.0
        self._totals: _Totals | None = None
        self._states: dict[str, State] = {}

    async def report(self) -> dict[str, Any]:
        """What the last look found; takes a new one if that is too long ago."""
        async with self._looking:
            now = self._clock()
            if self._report is None or now - self._looked_at >= LOOK_AT_MOST_EVERY_SECONDS:
                self._looked_at = now
                self._report = await self._look()
                self.history.append({name: self._report[name] for name in CHARTED})
            return self._report

    async def _look(self) -> dict[str, Any]:
        read_at = datetime.now(UTC)
        (queue, redis), (workers, database) = await asyncio.gather(
            self._ask("redis", self._sources.queue), self._ask("database", self._sources.workers)
        )
        before, self._totals = self._totals, _totals(queue, self._clock())
        accepted, recorded = _rates(before, self._totals)
        found = Findings(queue, workers, redis, database, settling=bool(recorded))
        figures = {
            "read_at": rfc3339(read_at),
            "accepted": queue and {"total": queue.counted + queue.waiting, "per_second": accepted},
            "waiting": queue and queue.waiting,
            "oldest_waiting_seconds": queue and queue.oldest_seconds(),
            "recorded": queue and {"total": queue.counted, "per_second": recorded},
            "rejected": queue and queue.rejected,
            "last_rejected": queue and _reasons(queue),
            "workers": workers and {"counting": workers.counting, "standing_by": list(workers.standing_by)},
            "viewers": self._sources.viewers(),
            "redis": redis,
            "database": database,
        }
        return {**asdict(verdict(found)), **figures, "words": words(figures)}

    async def _ask(self, name: str, source: Callable[[], Awaitable[Answer]]) -> tuple[Answer | None, State]:
        answer: Answer | None = None
        state: State = "answers"
        problem = ""
        try:
            answer = await source()
        except NotSeen as error:
            state, problem = error.state, str(error)
        if state != self._states.get(name, "answers"):  # one line per change, not per look
            log.info("pipeline_seen_again" if answer else "pipeline_not_seen", of=name, problem=problem)
        self._states[name] = state
        return answer, state


def _totals(queue: Overview | None, at: float) -> _Totals | None:
    return None if queue is None else _Totals(at, queue.counted + queue.waiting, queue.counted)


def _rates(before: _Totals | None, now: _Totals | None) -> tuple[float | None, float | None]:
    """How many votes a second were accepted and recorded since the last look, None where that can't be said."""
    if before is None or now is None or not 0 < (seconds := now.at - before.at) <= RATE_ACROSS_SECONDS:
        return None, None
    if now.accepted < before.accepted or now.recorded < before.recorded:
        return None, None  # somebody emptied Redis
    return (now.accepted - before.accepted) / seconds, (now.recorded - before.recorded) / seconds


def _reasons(queue: Overview) -> list[dict[str, str]]:
    """Why the last rejected messages were, the newest first; the messages themselves are not everybody's business."""
    return [
        {"reason": _first_line(rejection.reason), "rejected_at": rejection.rejected_at}
        for rejection in reversed(queue.last_rejected)
    ]


def _first_line(reason: str) -> str:
    # PostgreSQL's further lines quote the row
    return (reason.splitlines() or [""])[0][:REASON_CHARACTERS]

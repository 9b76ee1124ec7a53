"""What is to be said of the pipeline in one sentence. Pure: the same findings are always told the same."""

from dataclasses import dataclass
from typing import Literal

from common.counting import DELAYED_SECONDS
from common.overview import Overview
from result.pipeline_sources import State, Workers
from result.pipeline_words import duration

IN_THE_FILE = "What was accepted is in Redis' append-only file, and is counted when Redis is back."


@dataclass(frozen=True, slots=True)
class Findings:
    """What one look found; `settling`: votes left the queue since the look before."""

    queue: Overview | None = None
    workers: Workers | None = None
    redis: State = "answers"
    database: State = "answers"
    settling: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence, one that explains it, and how bad it is; `state` is the same in one word, for programs."""

    state: str
    severity: Literal["well", "warning", "alarm"]
    title: str
    detail: str


def verdict(found: Findings) -> Verdict:
    """What the findings mean; the worst comes first, and what can't be known is said to be so."""
    if found.queue is None:
        return _without_queue(found)
    if found.workers is None:
        return _without_workers(found, found.queue)
    if found.workers.counting is None:
        return Verdict("nobody_counts", "alarm", f"Nobody is counting: {_wait(found.queue)}.", _help(found.workers))
    age = found.queue.oldest_seconds()
    if age is not None and age > DELAYED_SECONDS:
        title = f"Counting is delayed: {_wait(found.queue)}."
        return Verdict("delayed", "warning", title, f"The oldest has waited for {duration(age)}.")
    return Verdict("counting", "well", "Votes are counted as they come.", f"At this moment {_wait(found.queue, '')}.")


def _without_queue(found: Findings) -> Verdict:
    if found.redis == "unreachable":
        more = " The database can't be reached either." if found.database == "unreachable" else ""
        detail = f"{IN_THE_FILE} Until then nobody can know how many votes wait.{more}"
        return Verdict(
            "redis_unreachable", "alarm", "Redis can't be reached: voting is refused, nothing is lost.", detail
        )
    why = "is not told where Redis is (REDIS_URL)" if found.redis == "not_configured" else "is not let in by Redis"
    detail = f"This page {why}, so it can't know how many votes are accepted, wait or are recorded."
    if found.database == "unreachable":
        return Verdict("database_unreachable", "alarm", "The database can't be reached: counting waits.", detail)
    if found.workers is not None and found.workers.counting is None:
        title = "Nobody is counting: votes wait, none is lost."
        return Verdict("nobody_counts", "alarm", title, f"{_help(found.workers)} {detail}")
    counted = "Somebody counts; the queue can't be seen." if found.workers else "Nothing can be seen of the pipeline."
    return Verdict("unknown", "warning", counted, detail)


def _without_workers(found: Findings, queue: Overview) -> Verdict:
    if found.settling:
        detail = f"At this moment {_wait(queue, '')}. This page can't reach the database, which knows who counts."
        return Verdict("unknown", "warning", "Votes are counted; by whom can't be seen.", detail)
    if found.database == "unreachable":
        title = f"The database can't be reached: counting waits, {_wait(queue)}."
        detail = "Voting goes on. The dashboard shows what it knew last, and says since when."
        return Verdict("database_unreachable", "alarm", title, detail)
    title = f"Who counts can't be seen: {_wait(queue)}."
    return Verdict("unknown", "warning", title, "The database answers, but doesn't let this page in.")


def _wait(queue: Overview, lost: str = ", none is lost") -> str:
    if queue.waiting == 0:
        return "no vote waits"
    return f"{queue.waiting:,} {'vote waits' if queue.waiting == 1 else 'votes wait'}{lost}"


def _help(workers: Workers) -> str:
    if workers.standing_by:
        return "A worker is connected, and begins as soon as it can."
    return "No worker is connected to the database. As soon as one is, it counts what waits."

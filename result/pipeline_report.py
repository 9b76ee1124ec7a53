"""What the pipeline page says, in a sentence and in figures. Pure: the same inspection always yields the same text.

The worst comes first: voters who can't vote, then votes that nobody counts, which wait and are not lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from common.presence import RECENT_SECONDS, VoteService
from common.vote_queue import QueueStats

IN_THE_FILE = "Accepted votes are in Redis' append-only file, and are counted once Redis is back."
UNKNOWN = {"value": "?", "note": "unknown"}
REFUSED_BY_CHANCE = 10  # votes: that many may be one visitor's mistake

State = Literal["answers", "unreachable", "refuses", "broken", "not_configured"]


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers connected to the database; one counts, or none does."""

    counting: str | None
    standing_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Intake:
    """How votes get into the queue; None means unknown."""

    refusal: str | None  # why Redis takes no votes, "" if it does
    services: tuple[VoteService, ...] | None

    @property
    def recent(self) -> tuple[int, int, int]:
        """How many votes all vote services accepted, refused and left in doubt in the last seconds."""
        services = self.services or ()
        return (
            sum(service.accepted for service in services),
            sum(service.refused for service in services),
            sum(service.unrecorded for service in services),
        )

    @property
    def running(self) -> int:
        """How many vote services report."""
        return sum(not service.is_silent for service in self.services or ())


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one inspection found; `settling`, `arriving`: votes left or entered the queue since the previous one.

    `just_back`: Redis was unreachable a moment ago, so the vote services may not have reconnected yet.
    """

    queue: QueueStats | None = None
    workers: Workers | None = None
    redis: State = "answers"
    database: State = "answers"
    intake: Intake | None = None
    settling: bool = False
    arriving: bool = False
    just_back: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """A sentence, an explanation, and how bad it is; `state` is the same in one word, for programs."""

    state: str
    severity: Literal["well", "warning", "alarm"]
    title: str
    detail: str


def verdict(found: Inspection) -> Verdict:
    """What the inspection means; unknowns are called unknown."""
    counting = _counting(found)
    return _no_way_in(found) or _told_to_vote_again(found, counting) or counting


def _no_way_in(found: Inspection) -> Verdict | None:
    """Nobody can vote, although Redis answers."""
    if found.intake is None:
        return None
    refusal, services = found.intake.refusal, found.intake.services
    if refusal and (found.queue is not None or services is not None):
        title = f"Votes are refused: {refusal}."
        detail = f"Voters are asked to vote again. {_left(found)}"
        return Verdict("votes_refused", "alarm", title, detail)
    if services is not None and not found.intake.running and not found.arriving and not found.just_back:
        title = "No vote service is running: nobody can vote."
        return Verdict("nobody_takes_votes", "alarm", title, f"{_silence(services)} {_left(found)}")
    return None


def _told_to_vote_again(found: Inspection, counting: Verdict) -> Verdict | None:
    """Some can't vote, or all are refused because of their votes."""
    if found.intake is None or counting.severity == "alarm":
        return None
    accepted, refused, unrecorded = found.intake.recent
    if unrecorded:
        title = f"Voters are asked to vote again: {_votes(unrecorded)} may not have been recorded."
        detail = f"In the last {RECENT_SECONDS} s: {accepted:,} accepted, {refused:,} refused."
        return Verdict("votes_in_doubt", "warning", title, f"{detail} Redis was slow, full, or gone for a moment.")
    if refused >= REFUSED_BY_CHANCE and not accepted:
        title = f"All of the last {refused:,} votes were refused."
        detail = "Too many from one address or voter, a code that is missing or wrong, or no votes for this ballot."
        return Verdict("votes_refused", "warning", title, f"{detail} The metrics of vote tell which.")
    return None


def _silence(services: Sequence[VoteService]) -> str:
    if not services:
        return "None of ours is connected to Redis; another kind of service would show only by its votes."
    hanging = "One is" if len(services) == 1 else f"{len(services)} are"
    seconds = min(service.silent_seconds for service in services)  # Redis reports whole seconds
    silence = f"{seconds} s" if seconds < 60 else duration(seconds)
    return f"{hanging} connected to Redis, but silent for {silence}."


def _left(found: Inspection) -> str:
    """What becomes of the votes accepted so far."""
    waiting = "how many votes are waiting is unknown" if found.queue is None else _wait(found.queue)
    nobody = found.workers is not None and found.workers.counting is None
    return f"{waiting[0].upper()}{waiting[1:]}.{' Nobody is counting.' if nobody else ''}"


def _counting(found: Inspection) -> Verdict:
    """What becomes of accepted votes."""
    if found.queue is None:
        return _without_queue(found)
    if found.workers is None:
        return _without_workers(found, found.queue)
    if found.workers.counting is None:
        return Verdict("nobody_counts", "alarm", f"Nobody is counting: {_wait(found.queue)}.", _help(found.workers))
    age = found.queue.oldest_seconds()
    if age is not None and found.queue.is_delayed():
        title = f"Counting is delayed: {_wait(found.queue)}."
        return Verdict("delayed", "warning", title, f"The oldest has waited for {duration(age)}.")
    return Verdict("counting", "well", "Votes are counted as they come.", f"At this moment {_wait(found.queue, '')}.")


def _without_queue(found: Inspection) -> Verdict:
    if found.redis == "unreachable":
        more = " The database can't be reached either." if found.database == "unreachable" else ""
        detail = f"{IN_THE_FILE} Until then the number of waiting votes is unknown.{more}"
        return Verdict(
            "redis_unreachable", "alarm", "Redis can't be reached: voting is refused, nothing is lost.", detail
        )
    if found.redis == "broken":
        detail = "The log of result says which key it is. Until somebody fixes it, votes can't be counted."
        return Verdict("queue_broken", "alarm", "Redis holds something else where the queue should be.", detail)
    why = "doesn't know where Redis is (REDIS_URL)" if found.redis == "not_configured" else "is denied access by Redis"
    detail = f"This page {why}, so the numbers of accepted, waiting and recorded votes are unknown."
    if found.database == "unreachable":
        return Verdict("database_unreachable", "alarm", "The database can't be reached: counting waits.", detail)
    if found.workers is not None and found.workers.counting is None:
        title = "Nobody is counting: votes wait, none is lost."
        return Verdict("nobody_counts", "alarm", title, f"{_help(found.workers)} {detail}")
    counted = (
        "Votes are being counted; the queue can't be read." if found.workers else "Nothing can be seen of the pipeline."
    )
    return Verdict("unknown", "warning", counted, detail)


def _without_workers(found: Inspection, queue: QueueStats) -> Verdict:
    if found.settling:
        detail = f"At this moment {_wait(queue, '')}. This page can't reach the database, which knows who counts."
        return Verdict("unknown", "warning", "Votes are counted; by which worker is unknown.", detail)
    if found.database == "unreachable":
        title = f"The database can't be reached: counting waits, {_wait(queue)}."
        detail = "Voting goes on. The dashboard shows the last known tally, and since when."
        return Verdict("database_unreachable", "alarm", title, detail)
    title = f"Who counts can't be seen: {_wait(queue)}."
    return Verdict("unknown", "warning", title, "The database answers, but denies this page access.")


def _wait(queue: QueueStats, lost: str = ", none is lost") -> str:
    if queue.waiting == 0:
        return "no vote waits"
    return f"{queue.waiting:,} {'vote waits' if queue.waiting == 1 else 'votes wait'}{lost}"


def _help(workers: Workers) -> str:
    if workers.standing_by:
        return "A worker is connected, and begins as soon as it can."
    return "No worker is connected to the database. As soon as one is, it counts what waits."


def panel_texts(figures: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """A value and a note for each panel of the page, with or without JavaScript."""
    said = {
        "accepted": _flow(figures["accepted"]),
        "waiting": _count(figures["waiting"], "not yet recorded"),
        "recorded": _flow(figures["recorded"]),
        "oldest": _oldest(figures["waiting"], figures["oldest_waiting_seconds"]),
        "rejected": _count(figures["rejected"], "could not be counted"),
        "viewers": _count(figures["viewers"], "open dashboards"),
        "voting": _voting(figures["vote_services"]),
        "workers": _workers(figures["workers"], figures["redis"]),
    }
    return {name: text or UNKNOWN for name, text in said.items()}


def duration(seconds: float) -> str:
    """A duration for people."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60, whole // 3600
    return f"{minutes} min {whole % 60} s" if hours == 0 else f"{hours} h {minutes % 60} min"


def _count(number: int | None, note: str) -> dict[str, str] | None:
    return None if number is None else {"value": f"{number:,}", "note": note}


def _votes(number: int) -> str:
    return f"{number:,} {'vote' if number == 1 else 'votes'}"


def _flow(flow: Mapping[str, Any] | None) -> dict[str, str] | None:
    if flow is None:
        return None
    rate = flow["per_second"]
    note = "rate not known yet" if rate is None else f"{_rate(rate)} a second"
    return {"value": f"{flow['total']:,}", "note": note}


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate == 0 or rate >= 99.95 else f"{rate:.1f}"


def _oldest(waiting: int | None, seconds: float | None) -> dict[str, str] | None:
    if waiting is None:
        return None
    if not waiting:
        return {"value": "none", "note": "no vote waits"}
    if seconds is None:
        return {"value": "?", "note": "the oldest doesn't say when it was cast"}
    return {"value": duration(seconds), "note": "since it was cast"}


def _voting(services: Sequence[Mapping[str, Any]] | None) -> dict[str, str] | None:
    if services is None:
        return None
    running = sum(service["does"] != "silent" for service in services)
    refused = sum(service["refused"] + service["unrecorded"] for service in services)
    among = refused + sum(service["accepted"] for service in services)
    note = f"{refused:,} of {among:,} not accepted in {RECENT_SECONDS} s" if refused else "no vote refused lately"
    return {"value": f"{running or 'none'}", "note": note}


def _workers(workers: Mapping[str, Any] | None, redis: str) -> dict[str, str] | None:
    if workers is None:
        return None
    others = len(workers["standing_by"])
    if workers["counting"] is None or redis == "unreachable":  # a worker keeps its lock while it waits for Redis
        connected = others + (workers["counting"] is not None)
        return {"value": "nobody", "note": f"{connected or 'no'} {'worker' if connected == 1 else 'workers'} connected"}
    return {"value": "1 worker", "note": f"{others or 'none'} {'stand' if others > 1 else 'stands'} by"}

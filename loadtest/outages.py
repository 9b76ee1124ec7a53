"""What an outage was like for voters and viewers, from the ledgers of a run. Pure.

A voter feels an outage from the kill until votes are accepted again for good, a viewer until a vote that was cast after
that is on a screen. "For good": the last vote that failed, or the last long silence, before the next kill.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from proof.ledger import Outcome, lines

# Without a kill there is always less time than this between two accepted votes, or between two snapshots with news.
SILENCE_SECONDS = 1.0


@dataclass
class Events:
    """What happened when, in Unix seconds, each list in order."""

    accepted: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)  # votes refused or in doubt
    seen: list[tuple[float, float]] = field(default_factory=list)  # arrival on a screen, and the vote's cast_at


@dataclass(frozen=True)
class Outage:
    """How one kill was felt. None: it was not, or it did not end."""

    victim: str
    not_accepted: int
    voters_seconds: float  # the longest time without an accepted vote
    viewers_seconds: float  # the longest time without news on any screen
    recovered_seconds: float | None  # from the kill until a vote cast after all failures was on a screen

    def in_words(self) -> str:
        recovered = "NOT RECOVERED" if self.recovered_seconds is None else f"{self.recovered_seconds:.1f} s"
        return (
            f"  {self.victim:<10} {self.not_accepted:5} votes not accepted   no accepted vote for "
            f"{self.voters_seconds:4.1f} s   no news on a screen for {self.viewers_seconds:4.1f} s   all well after "
            f"{recovered}"
        )


def read_events(folder: Path) -> Events:
    """The events of all ledgers in a run's folder."""
    events = Events()
    for path in folder.glob("ledger-*.jsonl"):
        for _, line in lines(path):
            if line["event"] == "seen":
                events.seen.append((line["at"], datetime.fromisoformat(line["as_of"]).timestamp()))
            elif line["event"] == "answered":
                accepted = line["outcome"] == Outcome.ACCEPTED
                (events.accepted if accepted else events.failed).append(line["at"])
    for happened in (events.accepted, events.failed, events.seen):
        happened.sort()
    return events


def outage(victim: str, killed: float, until: float, events: Events) -> Outage:
    """How the kill at this time was felt until the next one."""
    failed = [at for at in events.failed if killed <= at < until]
    calm = max(failed, default=killed)
    calm = max(calm, _end_of_last_silence(events.accepted, killed, until))
    shown = (at for at, cast_at in events.seen if cast_at >= calm and at < until)
    recovered = next(shown, None)
    return Outage(
        victim=victim,
        not_accepted=len(failed),
        voters_seconds=_longest_gap(events.accepted, killed, until),
        viewers_seconds=_longest_gap([at for at, _ in events.seen], killed, until),
        recovered_seconds=None if recovered is None else recovered - killed,
    )


def _longest_gap(times: Sequence[float], begin: float, end: float) -> float:
    return max((later - earlier for earlier, later in _gaps(times, begin, end)), default=0.0)


def _end_of_last_silence(times: Sequence[float], begin: float, end: float) -> float:
    silences = [later for earlier, later in _gaps(times, begin, end) if later - earlier > SILENCE_SECONDS]
    return max(silences, default=begin)


def _gaps(times: Sequence[float], begin: float, end: float) -> Iterable[tuple[float, float]]:
    within = [begin, *(at for at in times if begin <= at < end), end]
    return pairwise(within)

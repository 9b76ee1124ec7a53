"""The ledger: what the voters sent and what they were told, line by line, in the order in which it happened.

A vote is two lines, one when it is sent and one when its voter knows what became of it, or no longer waits to know. The
numbers of the lines are the ledger's time: a vote whose answer stands above the sending of another came before it;
otherwise nobody can say which came first. Each process writes a file of its own, and a voter lives in one process.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

ACCEPTED_STATUSES = (202, 303)


class Outcome(StrEnum):
    """What became of a vote, as far as its voter knows."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # surely not counted
    IN_DOUBT = "in doubt"


def outcome_of(status: int) -> Outcome:
    """What an answer says about a vote."""
    if status in ACCEPTED_STATUSES:
        return Outcome.ACCEPTED
    return Outcome.REFUSED if status < 500 else Outcome.IN_DOUBT


@dataclass(frozen=True, slots=True)
class Cast:
    """One vote. `sent` and `answered` are line numbers; a vote that was never answered is answered at infinity."""

    voter: str | None  # None if nobody told the voter who it is
    option: str
    sent: int
    answered: float = math.inf
    outcome: Outcome = Outcome.IN_DOUBT
    answer: str = ""  # the status, or the error
    number: int | None = None  # of its ballot paper, by which the voter says which of its votes is the later one
    service: str = ""  # where it was cast, if there are several
    taken_for: str | None = None  # whom the answer's cookie named
    cast_at: str | None = None  # when the vote was accepted, as the answer says
    sent_at: float = -math.inf  # Unix seconds
    answered_at: float = math.inf


class Ledger:
    """An open ledger, with its sums."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._line = 0
        self._newest = ""
        self.outcomes: Counter[str] = Counter()
        self.sent = 0

    @property
    def under_way(self) -> int:
        """How many votes have no answer yet."""
        return self.sent - self.outcomes.total()

    def send(self, voter: str | None, option: str, *, number: int | None = None, service: str = "") -> int:
        """Note a vote before it is sent; returns its line."""
        self.sent += 1
        return self._write(
            event="sent", voter=voter, option=option, ballot=number, service=service or None, at=time.time()
        )

    def answer(
        self, line: int, outcome: Outcome, answer: str, *, voter: str | None = None, cast_at: str | None = None
    ) -> None:
        """Note the answer to the vote of this line."""
        self.outcomes[outcome] += 1
        self._write(
            event="answered", number=line, outcome=outcome, answer=answer, voter=voter, cast_at=cast_at, at=time.time()
        )

    def give_up(self, line: int, reason: str) -> None:
        """Note that the voter waits no longer; the vote may still be on its way, and be counted at any later time."""
        self.outcomes[Outcome.IN_DOUBT] += 1
        self._write(event="given up", number=line, answer=reason, at=time.time())

    def see(self, as_of: str) -> None:
        """Note news on a screen, if it is the first of this process's screens that shows it."""
        if as_of > self._newest:
            self._newest = as_of
            self._write(event="seen", as_of=as_of, at=time.time())

    def _write(self, **line: object) -> int:
        self._line += 1
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        return self._line


@contextmanager
def open_ledger(path: Path) -> Iterator[Ledger]:
    """A new ledger in this file; each line is in the file as soon as it is noted."""
    with path.open("x", encoding="utf-8", buffering=1) as file:
        yield Ledger(file)


def lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines of a ledger with their numbers; a last line that a crash cut off is no line."""
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            if text.endswith("\n"):
                yield number, json.loads(text)


def changes(path: Path) -> Iterator[tuple[Cast | None, Cast]]:
    """The votes of a ledger, line by line: each as it was before the line, None if it is new, and as it is after it."""
    under_way: dict[int, Cast] = {}
    for number, line in lines(path):
        match line["event"]:
            case "sent":
                under_way[number] = _sent(number, line)
                yield None, under_way[number]
            case "answered":
                before = under_way.pop(line["number"])
                yield before, _answered(before, number, line)
            case "given up":
                before = under_way.pop(line["number"])
                yield before, replace(before, answer=line["answer"])


def read_ledger(path: Path) -> list[Cast]:
    """All votes of a ledger, in the order in which they were sent."""
    return list({cast.sent: cast for _, cast in changes(path)}.values())


def _sent(number: int, line: dict[str, Any]) -> Cast:
    return Cast(
        line["voter"],
        line["option"],
        sent=number,
        number=line.get("ballot"),
        service=line.get("service") or "",
        sent_at=line["at"],
    )


def _answered(cast: Cast, number: int, line: dict[str, Any]) -> Cast:
    return replace(
        cast,
        voter=cast.voter or line["voter"],
        answered=number,
        outcome=Outcome(line["outcome"]),
        answer=line["answer"],
        taken_for=line["voter"],
        cast_at=line["cast_at"],
        answered_at=line["at"],
    )

"""The ledger: what the voters sent and what they were told, line by line, in the order in which it happened.

A vote is two lines, one when it is sent and one when it is answered. The numbers of the lines are the ledger's time: a
vote whose answer stands above the sending of another came before it; otherwise nobody can say which came first. Each
process writes a file of its own, and a voter lives in one process.
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


class Outcome(StrEnum):
    """What became of a vote, as far as its voter knows."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # surely not counted
    IN_DOUBT = "in doubt"


@dataclass(frozen=True, slots=True)
class Cast:
    """One vote. `sent` and `answered` are line numbers; a vote that was never answered is answered at infinity."""

    voter: str | None  # None if nobody told the voter who it is
    option: str
    sent: int
    answered: float = math.inf
    outcome: Outcome = Outcome.IN_DOUBT
    answer: str = ""  # the status, or the error
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

    def send(self, voter: str | None, option: str) -> int:
        """Note a vote before it is sent; returns its number."""
        self.sent += 1
        return self._write(event="sent", voter=voter, option=option, at=time.time())

    def answer(
        self, number: int, outcome: Outcome, answer: str, *, voter: str | None, cast_at: str | None = None
    ) -> None:
        """Note the answer to the vote of this number."""
        self.outcomes[outcome] += 1
        self._write(
            event="answered",
            number=number,
            outcome=outcome,
            answer=answer,
            voter=voter,
            cast_at=cast_at,
            at=time.time(),
        )

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


def sent_cast(number: int, line: dict[str, Any]) -> Cast:
    """The vote of a line "sent"."""
    return Cast(line["voter"], line["option"], sent=number, sent_at=line["at"])


def answered_cast(cast: Cast, number: int, line: dict[str, Any]) -> Cast:
    """The vote, after the line "answered" that belongs to it."""
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

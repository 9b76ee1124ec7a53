"""The ledger: what the voters sent and what they were told, line by line, in the order in which it happened.

A vote is two lines, one when it is sent and one when it is answered. The numbers of the lines are the ledger's time: a
vote whose answer stands above the sending of another came before it; otherwise nobody can say which came first.
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
from typing import TextIO


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


class Ledger:
    """The open ledger, with the sums that the drill shows."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._line = 0
        self._last_accepted = time.monotonic()
        self.longest_gap = 0.0  # seconds without an accepted vote
        self.slowest_answer = 0.0  # seconds
        self.outcomes: Counter[str] = Counter()
        self.sent = 0

    def send(self, voter: str | None, option: str) -> int:
        """Note a vote before it is sent; returns its number."""
        self.sent += 1
        return self._write(event="sent", voter=voter, option=option, at=time.time())

    def answer(self, number: int, outcome: Outcome, answer: str, *, voter: str | None, seconds: float) -> None:
        """Note the answer to the vote of this number."""
        self._write(event="answered", number=number, outcome=outcome, answer=answer, voter=voter, at=time.time())
        self.outcomes[outcome] += 1
        self.slowest_answer = max(self.slowest_answer, seconds)
        if outcome is Outcome.ACCEPTED:
            now = time.monotonic()
            self.longest_gap = max(self.longest_gap, now - self._last_accepted)
            self._last_accepted = now

    @property
    def accepted(self) -> int:
        """How many votes were accepted so far."""
        return self.outcomes[Outcome.ACCEPTED]

    def _write(self, **line: object) -> int:
        self._line += 1
        self._file.write(json.dumps(line) + "\n")
        return self._line


@contextmanager
def open_ledger(path: Path) -> Iterator[Ledger]:
    """A new ledger in this file."""
    with path.open("x", encoding="utf-8", buffering=1) as file:
        yield Ledger(file)


def read_ledger(path: Path) -> list[Cast]:
    """All votes of a ledger, in the order in which they were sent."""
    casts: dict[int, Cast] = {}
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            line = json.loads(text)
            if line["event"] == "sent":
                casts[number] = Cast(line["voter"], line["option"], sent=number)
                continue
            cast = casts[line["number"]]
            casts[line["number"]] = replace(
                cast,
                voter=cast.voter or line["voter"],
                answered=number,
                outcome=Outcome(line["outcome"]),
                answer=line["answer"],
                taken_for=line["voter"],
            )
    return list(casts.values())

"""The drill's ledger: the load test's, with the sums that the drill shows."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from loadtest import ledger
from loadtest.ledger import Cast, Outcome

__all__ = ["Cast", "Ledger", "Outcome", "open_ledger", "read_ledger"]


class Ledger(ledger.Ledger):
    """The open ledger; also how long nothing was accepted, and how long the slowest answer took."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(file)
        self._last_accepted = time.monotonic()
        self.longest_gap = 0.0  # seconds without an accepted vote
        self.slowest_answer = 0.0  # seconds

    @property
    def accepted(self) -> int:
        """How many votes were accepted so far."""
        return self.outcomes[Outcome.ACCEPTED]

    def answer_after(self, seconds: float, number: int, outcome: Outcome, answer: str, *, voter: str | None) -> None:
        """Note the answer to the vote of this number, which took so long."""
        self.answer(number, outcome, answer, voter=voter)
        self.slowest_answer = max(self.slowest_answer, seconds)
        if outcome is Outcome.ACCEPTED:
            now = time.monotonic()
            self.longest_gap = max(self.longest_gap, now - self._last_accepted)
            self._last_accepted = now


@contextmanager
def open_ledger(path: Path) -> Iterator[Ledger]:
    """A new ledger in this file; each line is in the file as soon as it is noted."""
    with path.open("x", encoding="utf-8", buffering=1) as file:
        yield Ledger(file)


def read_ledger(path: Path) -> list[Cast]:
    """All votes of a ledger, in the order in which they were sent."""
    casts: dict[int, Cast] = {}
    for number, line in ledger.lines(path):
        if line["event"] == "sent":
            casts[number] = ledger.sent_cast(number, line)
        else:
            asked = line["number"]
            casts[asked] = ledger.answered_cast(casts[asked], number, line)
    return list(casts.values())

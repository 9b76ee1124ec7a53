"""The register of voters, made from ledgers line by line: of each voter the votes that may be its last."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from loadtest.ledger import Cast, Outcome, answered_cast, lines, sent_cast


def last_possible(casts: Sequence[Cast]) -> list[Cast]:
    """The votes of one voter that its row may show.

    Any vote that was not surely refused may be the last one, unless an accepted vote surely came after it.
    """
    last_sent = max((cast.sent for cast in casts if cast.outcome is Outcome.ACCEPTED), default=-1)
    return [cast for cast in casts if cast.outcome is not Outcome.REFUSED and cast.answered > last_sent]


class Register:
    """All voters of a run. Holds a vote or two for each, however many it cast."""

    def __init__(self) -> None:
        self.voters: defaultdict[str, list[Cast]] = defaultdict(list)
        self.outcomes: Counter[Outcome] = Counter()
        self.answers: Counter[str] = Counter()
        self.nameless: list[Cast] = []  # votes in doubt of voters whom nobody told who they are
        self.mistaken: list[str] = []

    def read(self, path: Path) -> None:
        """Take in one ledger."""
        under_way: dict[int, Cast] = {}
        for number, line in lines(path):
            if line["event"] == "sent":
                under_way[number] = sent_cast(number, line)
                self._add(under_way[number])
            elif line["event"] == "answered":
                before = under_way.pop(line["number"])
                self._replace(before, answered_cast(before, number, line))
        for cast in under_way.values():
            self._count(cast)

    def _add(self, cast: Cast) -> None:
        if cast.voter is not None:
            self.voters[cast.voter].append(cast)

    def _replace(self, before: Cast, after: Cast) -> None:
        self._count(after)
        if before.voter is not None:
            self.voters[before.voter].remove(before)
        if after.voter is not None and (after.outcome is not Outcome.REFUSED or before.voter is not None):
            self._add(after)
            self.voters[after.voter] = last_possible(self.voters[after.voter])
        if after.taken_for not in (None, after.voter):
            self.mistaken.append(f"voter {after.voter} was taken for {after.taken_for}")

    def _count(self, cast: Cast) -> None:
        self.outcomes[cast.outcome] += 1
        self.answers[cast.answer or "no answer"] += 1
        if cast.voter is None and cast.outcome is Outcome.IN_DOUBT:
            self.nameless.append(cast)


def read_register(folder: Path) -> Register:
    """The register of all ledgers in a run's folder."""
    register = Register()
    for path in sorted(folder.glob("ledger-*.jsonl")):
        register.read(path)
    return register

"""Which of a voter's votes may be its last, and the register of voters, built from the ledgers by that rule."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from proof.ledger import Cast, Outcome, changes


def stays_over(later: Cast, earlier: Cast) -> bool:
    """Whether the one vote of a voter, if it is counted, surely stays over the other one.

    The voter's own order decides, which is the numbers of its ballot papers: a lower number never wins, however late it
    arrives. Without numbers, or with equal ones, it is the order in the queue, and that is known only of a vote whose
    voter had its answer before the next one was sent. An answer that leaves the vote in doubt settles this for the
    service that gave it, which sends nothing of it later; another service may be quicker.
    """
    if later.number != earlier.number:
        return later.number is not None and earlier.number is not None and later.number > earlier.number
    is_settled = earlier.outcome is not Outcome.IN_DOUBT or earlier.service == later.service
    return is_settled and earlier.answered < later.sent


def last_possible(casts: Sequence[Cast]) -> list[Cast]:
    """The votes of one voter that its row may end up with.

    Any vote that was not surely refused may be the last one, unless one that was accepted surely stays over it.
    """
    accepted = [cast for cast in casts if cast.outcome is Outcome.ACCEPTED]
    return [
        cast
        for cast in casts
        if cast.outcome is not Outcome.REFUSED and not any(stays_over(other, cast) for other in accepted)
    ]


class Register:
    """All voters of a run. Holds a vote or two for each, however many it cast."""

    def __init__(self) -> None:
        self.voters: defaultdict[str, list[Cast]] = defaultdict(list)
        self.outcomes: Counter[Outcome] = Counter()
        self.answers: Counter[str] = Counter()
        self.nameless: list[Cast] = []  # votes in doubt of voters who never got a cookie
        self.mistaken: list[str] = []

    def read(self, path: Path) -> None:
        """Take in one ledger."""
        under_way: dict[int, Cast] = {}
        for before, after in changes(path):
            if before is None:
                under_way[after.sent] = after
                self._add(after)
            else:
                del under_way[after.sent]
                self._replace(before, after)
        for cast in under_way.values():
            self._count(cast)

    def _add(self, cast: Cast) -> None:
        if cast.voter is not None:
            self.voters[cast.voter].append(cast)

    def _replace(self, before: Cast, after: Cast) -> None:
        self._count(after)
        if before.voter is not None and before in self.voters[before.voter]:
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

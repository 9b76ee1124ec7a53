"""The audit: what must be true of the database and the queue after the votes of a ledger. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.drill.ledger import Cast, Outcome

EXPECTED_ANSWERS = {"202", "303", "503"}
MOST_SHOWN = 10


@dataclass(frozen=True)
class Found:
    """What is there after the last vote was counted."""

    votes: Sequence[tuple[str, str]]  # (voter, option), row by row
    tallies: Mapping[str, int]
    waiting: int
    rejected: int
    settled: int
    shown_total: int  # by /api/tally


def audit(casts: Sequence[Cast], found: Found) -> list[str]:
    """Everything that is wrong, in words; empty when nothing is."""
    return [
        *_rows(casts, found.votes),
        *_strangers(casts, found.votes),
        *_tallies(found),
        *_queue(casts, found),
        *_answers(casts),
    ]


def possible_choices(casts: Sequence[Cast]) -> set[str | None]:
    """The options that the row of a voter with these votes may show; None is no row.

    Any vote that was not surely refused may be the last one, unless an accepted vote surely came after it.
    """
    accepted = [cast for cast in casts if cast.outcome is Outcome.ACCEPTED]
    last_sent = max((cast.sent for cast in accepted), default=-1)
    possible: set[str | None] = {
        cast.option for cast in casts if cast.outcome is not Outcome.REFUSED and cast.answered > last_sent
    }
    return possible if accepted else possible | {None}


def _rows(casts: Sequence[Cast], rows: Sequence[tuple[str, str]]) -> Iterable[str]:
    by_voter: defaultdict[str, list[Cast]] = defaultdict(list)
    for cast in casts:
        if cast.voter is not None:
            by_voter[cast.voter].append(cast)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for voter, choice in rows:
        found[voter].append(choice)
    wrong = []
    for name, own in by_voter.items():
        options = found[name]
        if len(options) > 1:
            wrong.append(f"voter {name} has {len(options)} rows: {options}")
        elif (option := next(iter(options), None)) not in (possible := possible_choices(own)):
            wrong.append(_wrong_row(name, option, possible, own))
    return _shortened(wrong)


def _wrong_row(voter: str, option: str | None, possible: set[str | None], own: Sequence[Cast]) -> str:
    wanted = " or ".join(sorted(choice or "none" for choice in possible))
    if option is None:
        return f"voter {voter}: the accepted vote is lost; it should be {wanted}"
    places = [place for place, cast in enumerate(own) if cast.option == option]
    which = f"its vote {places[-1] + 1} of {len(own)}" if places else "a vote it never cast"
    return f"voter {voter}: the table has {option} ({which}); it should be {wanted}"


def _strangers(casts: Sequence[Cast], rows: Sequence[tuple[str, str]]) -> Iterable[str]:
    known = {cast.voter for cast in casts}
    strangers = Counter(option for voter, option in rows if voter not in known)
    nameless = Counter(cast.option for cast in casts if cast.voter is None and cast.outcome is Outcome.IN_DOUBT)
    for option, count in (strangers - nameless).items():
        yield f"{count} rows for {option} are of voters nobody knows"


def _tallies(found: Found) -> Iterable[str]:
    recount = Counter(option for _, option in found.votes)
    if dict(recount) != dict(found.tallies):
        differences = {
            option: (found.tallies.get(option, 0), recount[option])
            for option in sorted({*recount, *found.tallies})
            if found.tallies.get(option) != recount.get(option)
        }
        yield f"tallies differ from a recount, (tally, recount): {differences}"
    if found.shown_total != recount.total():
        yield f"the dashboard shows {found.shown_total} votes, a recount finds {recount.total()}"


def _queue(casts: Sequence[Cast], found: Found) -> Iterable[str]:
    if found.waiting:
        yield f"{found.waiting} votes are left in the queue"
    if found.rejected:
        yield f"{found.rejected} messages were rejected"
    outcomes = Counter(cast.outcome for cast in casts)
    least = outcomes[Outcome.ACCEPTED]
    most = least + outcomes[Outcome.IN_DOUBT]
    if not least <= found.settled <= most:
        yield f"{found.settled} votes were settled; accepted were {least}, and with those in doubt {most}"


def _answers(casts: Sequence[Cast]) -> Iterable[str]:
    unexpected = Counter(cast.answer for cast in casts if cast.answer.isdigit() and cast.answer not in EXPECTED_ANSWERS)
    for status, count in unexpected.items():
        yield f"{count} votes were answered with {status}, though all were good votes"
    mistaken = [cast for cast in casts if cast.taken_for not in (None, cast.voter)]
    yield from _shortened([f"voter {cast.voter} was taken for {cast.taken_for}" for cast in mistaken])


def _shortened(lines: list[str]) -> list[str]:
    more = len(lines) - MOST_SHOWN
    return lines if more <= 0 else [*lines[:MOST_SHOWN], f"... and {more} more like these"]

"""The audit: what has to be true of the database, the queue and the dashboard after the votes of a run. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import Any

from proof.ledger import ACCEPTED_STATUSES, Cast, Outcome
from proof.register import Register, stays_over

MOST_SHOWN = 10
IN_DOUBT_STATUS, TOO_MANY_STATUS = 503, 429
# A time passes through a float on its way to the database.
SAME_SECONDS = 5e-6
# How far apart the clocks of the voters' machine and the vote service's may be.
CLOCKS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table `votes`."""

    voter: str
    option: str
    cast_at: float | None  # Unix seconds


@dataclass(frozen=True)
class Baseline:
    """The state before the first vote of a run. None: it could not be read."""

    last_id: int | None = None
    total: int | None = None  # by /api/tally
    settled: int | None = None
    rejected: int | None = None
    table: str | None = None  # which table `votes` it was


@dataclass(frozen=True)
class Found:
    """The state after the last vote was counted. None: it could not be read."""

    rows: Iterable[Row] | None  # of this run
    recount: Mapping[str, int] | None = None
    tallies: Mapping[str, int] | None = None
    shown: Mapping[str, int] | None = None  # by /api/tally
    waiting: int | None = None
    settled: int | None = None
    rejected: int | None = None


@dataclass
class Report:
    """What the audit found; `problems` tells in words what is wrong, `notes` what could not be checked."""

    voters: int = 0
    accepted: int = 0
    refused: int = 0
    in_doubt: int = 0
    confirmed: int = 0
    lost: int = 0
    doubled: int = 0
    reverted: int = 0
    either: int = 0  # voters who voted twice at once: either vote may be their last
    undecided: int = 0  # voters with a vote in doubt that may be their last
    undecided_voters: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        return {"ok": self.ok, **asdict(self)}


def audit(
    register: Register,
    before: Baseline,
    found: Found,
    *,
    others_vote: bool = False,
    clocks_seconds: float = CLOCKS_SECONDS,
) -> Report:
    """Compare what the voters were told with what is there; `others_vote`: rows of unknown voters are no problem."""
    report = _report(register)
    if found.rows is not None:
        strangers = _judge_rows(report, register, found.rows)
        _judge_strangers(report, _unknown(strangers, register.nameless, clocks_seconds), others_vote=others_vote)
    else:
        report.notes.append("DATABASE_URL is not known, so only totals were compared, not every voter's vote")
        _judge_total(report, register, before, found)
    _judge_tallies(report, found)
    _judge_queue(report, register, before, found, others_vote=others_vote)
    report.problems += _shortened(register.mistaken)
    return report


def audit_rows(register: Register, rows: Iterable[Row]) -> Report:
    """Only look for the votes of a run that ended a while ago; others may have voted since."""
    report = _report(register)
    strangers = _judge_rows(report, register, rows)
    _judge_strangers(report, _unknown(strangers, register.nameless, CLOCKS_SECONDS), others_vote=True)
    return report


def judge_history(casts: Iterable[Cast], history: Iterable[Row]) -> list[str]:
    """Rows that showed, even if only for a moment, a vote that came before one they had shown already.

    `history` has each row as often as it was written, in that order; those of voters without a name are passed over.
    """
    ballots: defaultdict[str, list[Cast]] = defaultdict(list)
    for cast in casts:
        if cast.voter is not None:
            ballots[cast.voter].append(cast)
    shown: defaultdict[str, list[list[Cast]]] = defaultdict(list)
    wrong = []
    for row in history:
        if row.voter not in ballots:
            continue
        now = _votes_of(row, ballots[row.voter])
        if not now:
            wrong.append(f"forged: voter {row.voter} had {_shown(row)}, a vote that was refused or never cast")
        elif (newer := next((before for before in shown[row.voter] if _surely_stay(before, now)), None)) is not None:
            wrong.append(f"went back: voter {row.voter} had {_wanted(newer)}, and then {_wanted(now)}")
        shown[row.voter].append(now)
    return _shortened(wrong)


def judge_numbers(casts: Iterable[Cast]) -> list[str]:
    """Ballots that came later and had no higher number: the order of a browser's votes would be left to chance.

    Only for voters each of whose ballots has to have a higher number than the one before.
    """
    highest: dict[str, int] = {}
    wrong = []
    for cast in casts:
        if cast.voter is None or cast.number is None:
            continue
        if cast.number <= highest.get(cast.voter, 0):
            wrong.append(f"unordered: voter {cast.voter} had number {highest[cast.voter]}, and then {cast.number}")
        highest[cast.voter] = max(cast.number, highest.get(cast.voter, 0))
    return _shortened(wrong)


def judge_answers(casts: Sequence[Cast], *, limit_per_voter: int) -> list[str]:
    """Answers that a good vote never gets; a voter may be told to slow down only if it sent more than it may."""
    sent = Counter(cast.voter for cast in casts)
    unexpected = Counter(
        cast.answer
        for cast in casts
        if cast.answer.isdigit()
        and int(cast.answer) not in (*ACCEPTED_STATUSES, IN_DOUBT_STATUS)
        and not (int(cast.answer) == TOO_MANY_STATUS and sent[cast.voter] > limit_per_voter)
    )
    return [
        f"{count} votes were answered with {status}, though all were good votes" for status, count in unexpected.items()
    ]


def differences(sums: Mapping[str, int], recount: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """The options whose sums differ from a recount, with both figures."""
    # an option of the ballot without votes is shown with 0
    pairs = {key: (sums.get(key, 0), recount.get(key, 0)) for key in sorted({*sums, *recount})}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _report(register: Register) -> Report:
    return Report(
        voters=len(register.voters),
        accepted=register.outcomes[Outcome.ACCEPTED],
        refused=register.outcomes[Outcome.REFUSED],
        in_doubt=register.outcomes[Outcome.IN_DOUBT],
    )


def _judge_rows(report: Report, register: Register, rows: Iterable[Row]) -> list[Row]:
    """Judge the rows of our voters; returns those of others."""
    seen: set[str] = set()
    strangers: list[Row] = []
    doubled, reverted = [], []
    for row in rows:
        own = register.voters.get(row.voter)
        if own is None:
            strangers.append(row)
        elif row.voter in seen:
            doubled.append(f"doubled: voter {row.voter} has more than one row")
        elif not any(_is(cast, row) for cast in own):
            reverted.append(f"reverted: voter {row.voter} has {_shown(row)}; it should be {_wanted(own)}")
        else:
            report.confirmed += 1
        seen.add(row.voter)
    lost = [
        f"lost: voter {voter} has no row; it should be {_wanted(own)}"
        for voter, own in register.voters.items()
        if voter not in seen and _must_be_there(own)
    ]
    _note_undecided(report, register)
    report.lost, report.doubled, report.reverted = len(lost), len(doubled), len(reverted)
    for wrong in (lost, doubled, reverted):
        report.problems += _shortened(wrong)
    return strangers


def _judge_strangers(report: Report, unknown: int, *, others_vote: bool) -> None:
    if unknown and others_vote:
        report.notes.append(f"{unknown} rows belong to voters outside this run")
    elif unknown:
        report.doubled += unknown
        report.problems.append(
            f"doubled: {unknown} new rows belong to voters outside this run (if others may vote "
            "as well, set OTHERS_VOTE=1)"
        )


def _unknown(strangers: list[Row], nameless: list[Cast], apart: float) -> int:
    """How many of the strangers can't be voters who were never told who they are, with clocks so far apart."""
    return sum(
        _unmatched(
            sorted(row.cast_at or 0.0 for row in strangers if row.option == option),
            sorted((cast.sent_at - apart, cast.answered_at + apart) for cast in nameless if cast.option == option),
        )
        for option in {row.option for row in strangers}
    )


def _unmatched(times: list[float], windows: list[tuple[float, float]]) -> int:
    """How many of the times find no window of their own, from the sending to the answer; both are in order."""
    unmatched, begun, ends = 0, 0, list[float]()
    for time in times:
        while begun < len(windows) and windows[begun][0] <= time:
            heappush(ends, windows[begun][1])
            begun += 1
        while ends and ends[0] < time:
            heappop(ends)
        if ends:
            heappop(ends)
        else:
            unmatched += 1
    return unmatched


def _note_undecided(report: Report, register: Register) -> None:
    undecided = [voter for voter, own in register.voters.items() if any(_in_doubt(cast) for cast in own)]
    report.either = sum(1 for own in register.voters.values() if len(own) > 1 and not any(map(_in_doubt, own)))
    report.undecided = len(undecided)
    report.undecided_voters = undecided[:MOST_SHOWN]


def _in_doubt(cast: Cast) -> bool:
    return cast.outcome is Outcome.IN_DOUBT


def _must_be_there(own: list[Cast]) -> bool:
    return any(cast.outcome is Outcome.ACCEPTED for cast in own)


def _is(cast: Cast, row: Row) -> bool:
    if cast.option != row.option:
        return False
    if cast.cast_at is None or row.cast_at is None:
        return True
    return abs(datetime.fromisoformat(cast.cast_at).timestamp() - row.cast_at) < SAME_SECONDS


def _votes_of(row: Row, own: Iterable[Cast]) -> list[Cast]:
    """The votes that a row may show: the same option may be of several, and a vote in doubt has no time."""
    votes = [cast for cast in own if cast.outcome is not Outcome.REFUSED and _is(cast, row)]
    return [cast for cast in votes if cast.cast_at is not None] or votes


def _surely_stay(newer: Sequence[Cast], older: Sequence[Cast]) -> bool:
    """Whether each of the votes that a row may have shown surely stays over each that it may show now."""
    return bool(newer) and all(stays_over(new, old) for new in newer for old in older)


def _shown(row: Row) -> str:
    cast_at = "an unknown time" if row.cast_at is None else datetime.fromtimestamp(row.cast_at, UTC).isoformat()
    return f"{row.option} (cast at {cast_at})"


def _wanted(own: Sequence[Cast]) -> str:
    return " or ".join(map(_in_words, own)) or "no vote"


def _in_words(cast: Cast) -> str:
    number = "" if cast.number is None else f"number {cast.number}, "
    return f"{cast.option} ({number}{f'cast at {cast.cast_at}' if cast.cast_at else 'in doubt'})"


def _judge_total(report: Report, register: Register, before: Baseline, found: Found) -> None:
    _note_undecided(report, register)
    if before.total is None or found.shown is None:
        report.notes.append("the dashboard's totals could not be compared either")
        return
    new = sum(found.shown.values()) - before.total
    least = sum(1 for own in register.voters.values() if _must_be_there(own))
    most = sum(1 for own in register.voters.values() if own) + len(register.nameless)
    if new < least:
        report.lost = least - new
        report.problems.append(f"lost: the dashboard counted {new} new voters; accepted were the votes of {least}")
    elif new > most:
        report.doubled = new - most
        report.problems.append(f"doubled: the dashboard counted {new} new voters; at most {most} voted")


def _judge_tallies(report: Report, found: Found) -> None:
    recount = found.recount
    if recount is None:
        return
    for name, sums in (("the table tallies", found.tallies), ("/api/tally", found.shown)):
        if sums is None:
            report.notes.append(f"{name} could not be read")
            continue
        if wrong := differences(sums, recount):
            report.problems.append(f"{name} differs from a recount, option (shown, recounted): {wrong}")


def _judge_queue(report: Report, register: Register, before: Baseline, found: Found, *, others_vote: bool) -> None:
    if found.waiting is None or found.settled is None or before.settled is None:
        report.notes.append("REDIS_URL is not known, so the queue itself was not checked")
        return
    if found.waiting and not others_vote:
        report.problems.append(f"{found.waiting} accepted votes are still waiting in the queue")
    if rejected := (found.rejected or 0) - (before.rejected or 0):
        report.problems.append(f"{rejected} messages were rejected")
    settled = found.settled - before.settled + found.waiting
    least = report.accepted
    most = least + report.in_doubt
    if settled < least or (settled > most and not others_vote):
        wanted = f"{least}" if least == most else f"{least} to {most}"
        report.problems.append(f"the queue has had {settled} votes of this run; it should be {wanted}")


def _shortened(wrong: list[str]) -> list[str]:
    more = len(wrong) - MOST_SHOWN
    return wrong if more <= 0 else [*wrong[:MOST_SHOWN], f"... and {more} more like these"]

"""The audit: what must be true of the database, the queue and the dashboard after the votes of a run. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime
from heapq import heappop, heappush

from loadtest.findings import Baseline, Found, Report, Row
from loadtest.ledger import Cast, Outcome
from loadtest.register import Register

MOST_SHOWN = 10
# A time passes through a float on its way to the database.
SAME_SECONDS = 5e-6
# How far apart the clocks of the voters' machine and the vote service's may be.
CLOCKS_SECONDS = 1.0


def audit(register: Register, before: Baseline, found: Found, *, others_vote: bool = False) -> Report:
    """Compare what the voters were told with what is there; `others_vote`: rows of unknown voters are no problem."""
    report = _report(register)
    if found.rows is not None:
        _judge_rows(report, register, found.rows, others_vote=others_vote)
    else:
        report.notes.append("DATABASE_URL is not known, so only totals were compared, not every voter's vote")
        _judge_total(report, register, before, found)
    _judge_tallies(report, found)
    _judge_queue(report, register, before, found, others_vote=others_vote)
    _tell(report, report.problems, register.mistaken)
    return report


def audit_rows(register: Register, rows: Iterable[Row]) -> Report:
    """Only look for the votes of a run that ended some time ago; others may have voted since."""
    report = _report(register)
    _judge_rows(report, register, rows, others_vote=True)
    return report


def _report(register: Register) -> Report:
    return Report(
        voters=len(register.voters),
        accepted=register.outcomes[Outcome.ACCEPTED],
        refused=register.outcomes[Outcome.REFUSED],
        in_doubt=register.outcomes[Outcome.IN_DOUBT],
    )


def _judge_rows(report: Report, register: Register, rows: Iterable[Row], *, others_vote: bool) -> None:
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
        _tell(report, report.problems, wrong)
    _judge_strangers(report, _unknown(strangers, register.nameless), others_vote=others_vote)


def _judge_strangers(report: Report, unknown: int, *, others_vote: bool) -> None:
    if unknown and others_vote:
        report.notes.append(f"{unknown} rows are of voters who are not of this run")
    elif unknown:
        report.doubled += unknown
        report.problems.append(
            f"doubled: {unknown} new rows are of voters whom this run did not send (if others vote as well, "
            "tell with OTHERS_VOTE=1)"
        )


def _unknown(strangers: list[Row], nameless: list[Cast]) -> int:
    """How many of the strangers can't be voters who were never told who they are."""
    return sum(
        _unmatched(
            sorted(row.cast_at or 0.0 for row in strangers if row.option == option),
            sorted((cast.sent_at, cast.answered_at) for cast in nameless if cast.option == option),
        )
        for option in {row.option for row in strangers}
    )


def _unmatched(times: list[float], windows: list[tuple[float, float]]) -> int:
    """How many of the times find no window of their own, from the sending to the answer; both are in order."""
    unmatched, begun, ends = 0, 0, list[float]()
    for time in times:
        while begun < len(windows) and windows[begun][0] - CLOCKS_SECONDS <= time:
            heappush(ends, windows[begun][1] + CLOCKS_SECONDS)
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


def _shown(row: Row) -> str:
    cast_at = "an unknown time" if row.cast_at is None else datetime.fromtimestamp(row.cast_at, UTC).isoformat()
    return f"{row.option} cast at {cast_at}"


def _wanted(own: list[Cast]) -> str:
    return " or ".join(f"{cast.option} cast at {cast.cast_at or 'an unknown time'}" for cast in own) or "no vote"


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
        # an option of the ballot that has no votes is shown with 0
        wrong = {key: (sums.get(key, 0), recount.get(key, 0)) for key in sorted({*sums, *recount})}
        wrong = {key: pair for key, pair in wrong.items() if pair[0] != pair[1]}
        if wrong:
            report.problems.append(f"{name} differs from a recount, option (shown, recounted): {wrong}")


def _judge_queue(report: Report, register: Register, before: Baseline, found: Found, *, others_vote: bool) -> None:
    if found.waiting is None or found.settled is None or before.settled is None:
        report.notes.append("REDIS_URL is not known, so the queue itself was not looked at")
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


def _tell(report: Report, where: list[str], wrong: list[str]) -> None:
    where.extend(wrong[:MOST_SHOWN])
    if len(wrong) > MOST_SHOWN:
        where.append(f"... and {len(wrong) - MOST_SHOWN} more like these")

"""What must be true of a system at any time, also while people vote: what an audit without a load found. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proof.audit import Report


@dataclass(frozen=True)
class Check:
    """One question and its answer. `holds` is None when nobody can say, or when it is only worth knowing."""

    name: str
    holds: bool | None
    words: str

    def in_words(self) -> str:
        mark = {True: "ok", False: "WRONG", None: "note"}[self.holds]
        return f"  {self.name:<18} {mark:<6} {self.words}"


@dataclass(frozen=True)
class Table:
    """The database, at one moment."""

    recount: Mapping[str, int]
    tallies: Mapping[str, int]
    rows: int
    voters: int


@dataclass(frozen=True)
class Queue:
    """The queue, watched until it was empty or the time was over."""

    at_first: int
    waiting: int
    settled: int  # meanwhile
    seconds: float


def judge_queue(queue: Queue) -> Check:
    """Whether what waits is being counted."""
    if not queue.waiting:
        drained = f" after {queue.seconds:.1f} s; {_votes(queue.at_first)} waited at first" if queue.at_first else ""
        return Check("queue", True, f"empty{drained}")
    if queue.settled:
        words = f"draining: {_votes(queue.waiting)} waiting, {queue.settled:,} counted in {queue.seconds:.0f} s"
        return Check("queue", True, words)
    words = f"{_votes(queue.waiting)} waiting, and none was counted in {queue.seconds:.0f} s: is a worker running?"
    return Check("queue", False, words)


def judge_tallies(table: Table) -> Check:
    """Whether the table tallies equals a recount of the same moment."""
    wrong = _differences(table.tallies, table.recount)
    if wrong:
        return Check("tallies", False, f"differ from a recount, option (tally, recount): {wrong}")
    each = ", ".join(f"{option} {votes:,}" for option, votes in sorted(table.recount.items())) or "no votes"
    return Check("tallies", True, f"equal a recount: {each}")


def judge_voters(table: Table) -> Check:
    """Whether every voter has one vote."""
    if table.rows != table.voters:
        return Check("voters", False, f"{_votes(table.rows)} are of {table.voters:,} voters")
    return Check("voters", True, f"{table.voters:,}, each with one vote")


def agrees(before: Table, shown: Mapping[str, int], after: Table) -> bool:
    """Whether a dashboard read between two looks at the table shows what was there meanwhile."""
    if before.recount == after.recount:
        return not _differences(shown, before.recount)
    # votes are counted meanwhile: options may lose votes then, but the number of voters only grows
    return before.rows <= sum(shown.values()) <= after.rows


def judge_dashboard(shown: Mapping[str, int], table: Table, *, right: bool) -> Check:
    """Whether the dashboard agrees with the table."""
    if right:
        return Check("dashboard", True, f"shows {_votes(sum(shown.values()))}, as the table")
    wrong = _differences(shown, table.recount)
    return Check("dashboard", False, f"differs from the table, option (shown, recounted): {wrong}")


def judge_rejected(count: int, reasons: list[str]) -> Check:
    """What was put aside. That is how it should be, but somebody should look at it."""
    if not count:
        return Check("rejected", True, "none")
    messages = "1 message" if count == 1 else f"{count:,} messages"
    return Check("rejected", None, f"{messages}; the last: {'; '.join(reasons)}")


def judge_ledger(run: str, report: Report) -> Check:
    """Whether the accepted votes of a load test are still there."""
    if report.problems:
        return Check("load test", False, f"{run}: {'; '.join(report.problems)}")
    words = f"{run}: the votes of all {report.confirmed:,} voters are still there"
    undecided = f", {report.undecided:,} undecided" if report.undecided else ""
    return Check("load test", True, words + undecided)


def is_good(checks: Sequence[Check]) -> bool:
    """Whether something was looked at, and nothing is wrong."""
    return any(check.holds for check in checks) and not any(check.holds is False for check in checks)


def verdict(checks: Sequence[Check]) -> str:
    """All of them in a line."""
    if wrong := [check.name for check in checks if check.holds is False]:
        return f"FOUND WRONG: {', '.join(wrong)}"
    return "nothing is wrong" if is_good(checks) else "nothing was looked at: set REDIS_URL and DATABASE_URL"


def _differences(sums: Mapping[str, int], recount: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    # an option of the ballot that has no votes is shown with 0
    pairs = {key: (sums.get(key, 0), recount.get(key, 0)) for key in sorted({*sums, *recount})}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _votes(count: int) -> str:
    return "1 vote" if count == 1 else f"{count:,} votes"

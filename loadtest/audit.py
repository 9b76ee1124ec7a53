"""Audits of the system, in processes of their own: `make audit` of what is there now, and before and after each run.

`make audit` needs no load, and votes may be cast meanwhile. It looks for the votes of the last load test again, unless
the table was emptied since.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import asyncpg
import httpx
from redis.asyncio import Redis

from common.vote_queue import REJECTED
from loadtest import LoadTestError
from loadtest.settings import Target, data_folder, limits, number, target
from proof.audit import Baseline, Report, audit, audit_rows, differences
from proof.register import read_register
from proof.state import (
    NOT_YET,
    TABLE,
    Patience,
    Queue,
    Tables,
    at_one_moment,
    database,
    new_rows,
    read_baseline,
    read_queue,
    read_shown,
    read_state,
    read_tables,
    until,
)

WAIT_SECONDS = 30.0  # for the queue to become empty; AUDIT_SECONDS
CONNECT_SECONDS = 3.0
MOST_REASONS = 3

VOTERS = "SELECT count(*) AS rows, count(DISTINCT voter_id) AS voters FROM votes"


def audit_run(moment: str, folder: Path) -> int:
    """Read the baseline `before` a run, or audit `after` it; what was found is left in the run's folder."""
    began = time.monotonic()
    try:
        where, patience = target(), Patience(**limits()["audit"])
        if moment == "before":
            _write(folder / "before.json", asdict(asyncio.run(read_baseline(where, patience))))
            return 0
        baseline = Baseline(**json.loads((folder / "before.json").read_text()))
        found = asyncio.run(read_state(where, baseline, folder, patience))
        report = audit(read_register(folder), baseline, found, others_vote=bool(os.environ.get("OTHERS_VOTE")))
        _write(folder / "audit.json", report.as_json() | {"seconds": round(time.monotonic() - began, 1)})
    except (LoadTestError, *NOT_YET) as error:
        print(f"the audit could not read the system: {str(error) or type(error).__name__}", file=sys.stderr)
        return 1
    return 0


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Check:
    """One question and its answer. `holds` is None when nobody can tell, or when it is only worth knowing."""

    name: str
    holds: bool | None
    words: str

    def in_words(self) -> str:
        mark = {True: "ok", False: "WRONG", None: "note"}[self.holds]
        return f"  {self.name:<18} {mark:<6} {self.words}"


@dataclass(frozen=True)
class Table:
    tables: Tables
    rows: int
    voters: int


def audit_now() -> int:
    """Print every check; 0 if none is wrong."""
    where = target()
    print(f"Audit of {where.vote_url} and {where.result_url}", flush=True)
    checks = asyncio.run(_print_all(where))
    print(verdict(checks))
    return 0 if is_good(checks) else 1


async def _print_all(where: Target) -> list[Check]:
    checks = []
    async for check in _all_checks(where):
        print(check.in_words(), flush=True)
        checks.append(check)
    return checks


async def _all_checks(where: Target) -> AsyncIterator[Check]:
    needs = {
        "queue": (_check_queue, "redis_url"),
        "rejected": (_check_rejected, "redis_url"),
        "table": (_check_tables, "database_url"),
        "load test": (_check_last_run, "database_url"),
    }
    for name, (check_part, address) in needs.items():
        if not getattr(where, address):
            yield Check(name, None, f"not checked, because {address.upper()} is not set")
            continue
        try:
            for check in await check_part(where):
                yield check
        except NOT_YET as error:
            yield Check(name, False, f"can't be read: {str(error) or type(error).__name__}")


async def _check_queue(where: Target) -> list[Check]:
    began = time.monotonic()
    async with _redis(where) as redis:
        first = last = await read_queue(redis)

        async def is_empty() -> bool:
            nonlocal last
            last = await read_queue(redis)
            return last.waiting == 0

        await until(is_empty, number("AUDIT_SECONDS", WAIT_SECONDS))
    return [judge_queue(first, last, time.monotonic() - began)]


def judge_queue(first: Queue, last: Queue, seconds: float) -> Check:
    """Whether the votes that wait are being counted."""
    counted = last.settled - first.settled
    if not last.waiting:
        drained = f" after {seconds:.1f} s; {_votes(first.waiting)} waited at first" if first.waiting else ""
        return Check("queue", True, f"empty{drained}")
    if counted:
        words = f"draining: {_votes(last.waiting)} waiting, {counted:,} counted in {seconds:.0f} s"
        return Check("queue", True, words)
    words = f"{_votes(last.waiting)} waiting, and none was counted in {seconds:.0f} s: is a worker running?"
    return Check("queue", False, words)


async def _check_rejected(where: Target) -> list[Check]:
    async with _redis(where) as redis:
        count = (await read_queue(redis)).rejected
        notes = await cast(Any, redis.lrange(REJECTED, -MOST_REASONS, -1))
    return [judge_rejected(count, [f"{note['reason']} ({note['rejected_at']})" for note in map(json.loads, notes)])]


def judge_rejected(count: int, reasons: Sequence[str]) -> Check:
    """Rejecting a message is right, but somebody should look at it."""
    if not count:
        return Check("rejected", True, "none")
    messages = "1 message" if count == 1 else f"{count:,} messages"
    return Check("rejected", None, f"{messages}; the last: {'; '.join(reasons)}")


async def _check_tables(where: Target) -> list[Check]:
    """The tables by themselves, and against the dashboard, which may be a moment behind."""
    async with database(where.database_url, seconds=CONNECT_SECONDS) as connection:
        table = await _read_table(connection)
        return [*judge_table(table), await _check_dashboard(where.result_url, connection, table)]


def judge_table(table: Table) -> list[Check]:
    """Whether the table tallies equals a recount of the same moment, and every voter has one vote."""
    recount = table.tables.recount
    each = ", ".join(f"{option} {votes:,}" for option, votes in sorted(recount.items())) or "no votes"
    tallies = Check("tallies", True, f"equal a recount: {each}")
    if wrong := differences(table.tables.tallies, recount):
        tallies = Check("tallies", False, f"differ from a recount, option (tally, recount): {wrong}")
    voters = Check("voters", True, f"{table.voters:,}, each with one vote")
    if table.rows != table.voters:
        voters = Check("voters", False, f"{table.voters:,} have {_votes(table.rows)}")
    return [tallies, voters]


async def _check_dashboard(result_url: str, connection: asyncpg.Connection, table: Table) -> Check:
    shown: dict[str, int] = {}
    right = False
    async with httpx.AsyncClient(timeout=5, verify=False) as client:

        async def is_right() -> bool:
            nonlocal table, shown, right
            before, shown, table = table, await read_shown(client, result_url), await _read_table(connection)
            right = agrees(before, shown, table)
            return right

        try:
            await until(is_right, limits()["audit"]["dashboard_seconds"])
        except httpx.HTTPError as error:
            return Check("dashboard", False, f"can't be read: {error or type(error).__name__}")
    if right:
        return Check("dashboard", True, f"shows {_votes(sum(shown.values()))}, as the table does")
    wrong = differences(shown, table.tables.recount)
    return Check("dashboard", False, f"differs from the table, option (shown, recounted): {wrong}")


def agrees(before: Table, shown: Mapping[str, int], after: Table) -> bool:
    """Whether a dashboard that was read between two looks at the table shows what was there."""
    if before.tables.recount == after.tables.recount:
        return not differences(shown, before.tables.recount)
    # Votes are being counted: an option may lose some, but the number of voters only grows.
    return before.rows <= sum(shown.values()) <= after.rows


async def _read_table(connection: asyncpg.Connection) -> Table:
    async with at_one_moment(connection):
        tables, (voters,) = await read_tables(connection), await connection.fetch(VOTERS)
    return Table(tables, voters["rows"], voters["voters"])


async def _check_last_run(where: Target) -> list[Check]:
    async with database(where.database_url, seconds=CONNECT_SECONDS) as connection:
        found = _last_run(await connection.fetchval(TABLE))
        if found is None:
            return [Check("load test", None, "none since the votes were last emptied")]
        folder, last_id = found
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            rows = await new_rows(connection, last_id, Path(scratch) / "rows.csv")
            return [judge_last_run(folder.name, audit_rows(read_register(folder), rows))]


def judge_last_run(run: str, report: Report) -> Check:
    """Whether the accepted votes of a load test are still there."""
    if report.problems:
        return Check("load test", False, f"{run}: {'; '.join(report.problems)}")
    undecided = f", {report.undecided:,} undecided" if report.undecided else ""
    return Check("load test", True, f"{run}: the votes of all {report.confirmed:,} voters are still there{undecided}")


def _last_run(table: str) -> tuple[Path, int] | None:
    """The newest load test that has ended and whose votes are in this table; and the last row before it."""
    for result in sorted((data_folder() / "loadtest").glob("2*/result.json"), reverse=True):
        try:
            before = json.loads((result.parent / "before.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if before.get("table") == table:
            return result.parent, before["last_id"]
    return None


def _redis(where: Target) -> Redis:
    try:
        return Redis.from_url(where.redis_url, socket_timeout=5, socket_connect_timeout=CONNECT_SECONDS)
    except ValueError as error:
        raise LoadTestError(f"REDIS_URL: {error}") from error


def is_good(checks: Sequence[Check]) -> bool:
    """Whether something was checked, and nothing is wrong."""
    return any(check.holds for check in checks) and not any(check.holds is False for check in checks)


def verdict(checks: Sequence[Check]) -> str:
    if wrong := [check.name for check in checks if check.holds is False]:
        return f"WRONG: {', '.join(wrong)}"
    return "nothing is wrong" if is_good(checks) else "nothing was checked: set REDIS_URL and DATABASE_URL"


def _votes(count: int) -> str:
    return "1 vote" if count == 1 else f"{count:,} votes"

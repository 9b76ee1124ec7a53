"""What a run found: in words for the terminal, as a table for the page, and as files beside Locust's report."""

import csv
import html
from collections.abc import Callable
from typing import Any

from locust.env import Environment
from locust.html import get_html_report
from locust.stats import PERCENTILES_TO_REPORT, StatsCSV

from loadtest.run import Run
from loadtest.settings import shown

AUDIT_WORDS = {
    "accepted": "votes accepted",
    "voters": "voters who cast them",
    "confirmed": "voters whose last vote is in the database, once",
    "lost": "lost",
    "doubled": "doubled",
    "reverted": "reverted to an older vote",
    "either": "voted twice at once: either vote is right",
    "undecided": "undecided: no clear answer to their last vote",
    "refused": "votes refused",
    "in_doubt": "votes in doubt",
}
WRONG = ("lost", "doubled", "reverted")  # has to be 0


def say(run: Run) -> None:
    for line in in_words(run.result, shown(run.folder)) if run.result else [run.problem or "the run did not end"]:
        print(line, flush=True)


def in_words(result: dict[str, Any], folder: str) -> list[str]:
    return [
        "",
        *result["search_in_words"],
        *_audit(result["audit"]),
        "",
        f"Votes: {result['votes']:,} accepted in {result['seconds']:g} s, {result['votes_per_second']:g} per second",
        f"Cores used: {', '.join(f'{name} {share:.0%}' for name, share in result['cores_used'].items())}",
        *_memory(result["memory"]),
        *result["limits_in_words"],
        *result["problems"],
        "",
        f"{'PASSED' if result['ok'] else 'FAILED'}; the report: {folder}/report.html",
    ]


def audit_table(run: Run | None) -> list[tuple[str, str, bool]]:
    """The audit for the page: what was checked, what was found, and whether that is wrong."""
    if run is None:
        return [("the audit", "follows each test and looks for every accepted vote in the database", False)]
    if run.result is None:
        return [("the audit", run.problem or "follows when the test has ended", bool(run.problem))]
    audit = run.result["audit"]
    rows = [
        ("the run", "PASSED" if run.result["ok"] else "FAILED", not run.result["ok"]),
        ("the audit", "every vote was found" if audit["ok"] else "FAILED", not audit["ok"]),
    ]
    for name, words in AUDIT_WORDS.items():
        value = audit.get(name)
        rows.append((words, "unknown" if value is None else f"{value:,}", name in WRONG and bool(value)))
    rows += [("wrong", problem, True) for problem in audit["problems"] + run.result["problems"]]
    rows += [("note", note, False) for note in audit["notes"]]
    rows += [_limit_row(**one) for one in run.result["limits"]]
    rows += [("limit found", line, False) for line in run.result["search_in_words"]]
    return [*rows, ("its files", shown(run.folder), False)]


def write_report(environment: Environment, run: Run) -> None:
    """Write `report.html`, `requests.csv` and `failures.csv` into the run's folder."""
    assert run.result is not None
    make_report: Any = get_html_report
    page: str = make_report(environment, show_download_link=False)
    text = html.escape("\n".join(in_words(run.result, shown(run.folder))))
    ours = (
        '<section style="max-width:1200px;margin:2rem auto;padding:0 1rem;font-family:sans-serif">'
        f"<h2>Audit and verdict</h2><pre style='white-space:pre-wrap'>{text}</pre></section>"
    )
    (run.folder / "report.html").write_text(page.replace("</body>", f"{ours}</body>"), encoding="utf-8")
    tables = StatsCSV(environment, PERCENTILES_TO_REPORT)
    _write_csv(run, "requests.csv", tables.requests_csv)
    _write_csv(run, "failures.csv", tables.failures_csv)


def _limit_row(name: str, value: float | None, limit: float, holds: bool) -> tuple[str, str, bool]:
    measured = "not measured" if value is None else f"{value:g}"
    return f"{name}, at most {limit:g}", measured if holds else f"{measured}: BROKEN", not holds


def _audit(audit: dict[str, Any]) -> list[str]:
    lines = [f"Audit: {'every vote was found' if audit['ok'] else 'FAILED'}"]
    if "voters" in audit:
        lines += [
            f"  {audit['accepted']:,} votes by {audit['voters']:,} voters accepted, {audit['refused']:,} refused, "
            f"{audit['in_doubt']:,} in doubt; the audit took {audit['seconds']:g} s",
            f"  {audit['confirmed']:,} voters confirmed   {audit['lost']} lost   {audit['doubled']} doubled   "
            f"{audit['reverted']} reverted   {audit['undecided']} undecided   {audit['either']} voted twice at once",
        ]
    lines += [f"  wrong: {problem}" for problem in audit["problems"]]
    lines += [f"  note: {note}" for note in audit["notes"]]
    return lines


def _memory(memory: dict[str, float]) -> list[str]:
    if not memory:
        return []
    return [
        f"Memory of the load test: {memory['after_warm_up_mb']:g} MB after the first minute, "
        f"{memory['growth_mb']:+g} MB in the {memory['minutes']:g} minutes after it"
    ]


def _write_csv(run: Run, name: str, write: Callable[[Any], None]) -> None:
    with (run.folder / name).open("w", encoding="utf-8", newline="") as file:
        write(csv.writer(file))

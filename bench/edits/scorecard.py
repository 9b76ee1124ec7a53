"""The scorecard: a table for people, the figures for programs, and the goals. Pure."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from statistics import median
from typing import Any

from bench.edits.edit import EDITS, REQUIREMENT, REQUIREMENT_TITLE
from bench.edits.environments import ALL, TITLES
from bench.edits.traffic import Impact
from proof.audit import Report

ROWS = {edit.name: edit.title for edit in EDITS} | {REQUIREMENT: REQUIREMENT_TITLE}

QUICK_ENVIRONMENT, QUICK_EDITS, QUICK_SECONDS = "tilt", ("vote", "worker", "result"), 2.0
# A new requirement is a new container, or `make restart`; the comparison has no goal.
UNNOTICED_EDITS, OURS = ("vote", "worker", "result", "template"), ("tilt", "compose", "up")
MEGABYTE = 1_000_000
NOTHING = "-"


@dataclass
class Score:
    """What was measured in one environment; `missing` or `failed` says why nothing was."""

    missing: str = ""
    failed: str = ""
    cold_start: float = math.nan
    memory: Mapping[str, int] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    impacts: dict[str, Impact] = field(default_factory=dict)
    report: Report | None = None  # of the audit


Rows = dict[str, Callable[[Score], str]]


def missed(scores: Mapping[str, Score]) -> list[str]:
    """Every goal that was missed, in words."""
    found = []
    quick = scores.get(QUICK_ENVIRONMENT, Score()).seconds
    for edit, took in ((edit, median(quick[edit])) for edit in QUICK_EDITS if quick.get(edit)):
        if took > QUICK_SECONDS:
            title = TITLES[QUICK_ENVIRONMENT]
            found.append(f"{title}, {ROWS[edit]}: {took:.2f} s; the goal is {QUICK_SECONDS:g} s")
    for name, score in scores.items():
        if score.failed:
            found.append(f"{TITLES[name]} could not be measured: {score.failed}")
        unseen = [ROWS[edit] for edit, times in score.seconds.items() if math.inf in times]
        found += [f"{TITLES[name]}, {title}: an edit was never shown" for title in unseen]
        for edit in UNNOTICED_EDITS if name in OURS else ():
            if failed := score.impacts.get(edit, Impact()).failed:
                found.append(f"{TITLES[name]}, {ROWS[edit]}: {failed} requests failed; the goal is none")
        if score.report is not None:
            found += [f"{TITLES[name]}: {problem}" for problem in score.report.problems]
    return found


def table(scores: Mapping[str, Score], *, rounds: int, machine: str) -> str:
    """The scorecard in Markdown."""
    lines = [
        *_section(f"edit to effect, median of {rounds}" if rounds > 1 else "edit to effect", scores, _SECONDS | _FACTS),
        "",
        *_section("requests that failed during the edit, of those sent; longest wait of a request", scores, _IMPACTS),
        "",
    ]
    skipped = [f"{TITLES[name]} was skipped: {score.missing}.\n" for name, score in scores.items() if score.missing]
    return "\n".join([*lines, *skipped, f"Measured on {machine}."]) + "\n"


def _section(head: str, scores: Mapping[str, Score], rows: Rows) -> list[str]:
    cells = [[head, *(TITLES[name] for name in scores)], ["---", *("---:" for _ in scores)]]
    cells += [[title, *(show(score) for score in scores.values())] for title, show in rows.items()]
    return ["| " + " | ".join(row) + " |" for row in cells]


def as_json(scores: Mapping[str, Score], *, rounds: int, machine: Mapping[str, str]) -> dict[str, Any]:
    """All figures; an edit that was never shown took null seconds."""
    environments = {}
    for name, score in scores.items():
        facts = asdict(score)
        facts["seconds"] = {
            edit: [round(one, 3) if one < math.inf else None for one in times] for edit, times in score.seconds.items()
        }
        facts["cold_start"] = None if math.isnan(score.cold_start) else round(score.cold_start, 3)
        environments[name] = facts
    return {"machine": dict(machine), "rounds": rounds, "environments": environments, "missed": missed(scores)}


def _edit_seconds(edit: str, score: Score) -> str:
    times = score.seconds.get(edit)
    return _seconds(median(times)) if times else NOTHING


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < math.inf else "never shown"


def _cold_start(score: Score) -> str:
    return NOTHING if math.isnan(score.cold_start) else _seconds(score.cold_start)


def _memory(score: Score) -> str:
    if not score.memory:
        return NOTHING
    total = f"{sum(score.memory.values()) / MEGABYTE:.0f} MB"
    parts = ", ".join(f"{what} {used / MEGABYTE:.0f}" for what, used in score.memory.items())
    return f"{total} ({parts})" if len(score.memory) > 1 else total


def _votes(score: Score) -> str:
    found = score.report
    if found is None:
        return NOTHING
    lost = found.lost + found.reverted
    return f"{found.accepted:,} / {found.accepted - lost:,} / {lost} / {found.refused + found.in_doubt}"


def _impact(edit: str, score: Score) -> str:
    impact = score.impacts.get(edit)
    return NOTHING if impact is None else f"{impact.failed} of {impact.sent:,}; {impact.longest_seconds:.2f} s"


_SECONDS: Rows = {ROWS[edit]: partial(_edit_seconds, edit) for edit in ALL}
_IMPACTS: Rows = {ROWS[edit]: partial(_impact, edit) for edit in ALL if edit != "locust"}
_FACTS: Rows = {
    "cold start, until the first vote is on the dashboard": _cold_start,
    "memory after the start": _memory,
    "votes meanwhile: accepted / counted / lost / refused or in doubt": _votes,
}

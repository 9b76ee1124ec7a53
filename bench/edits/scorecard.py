"""The scorecard: a table for people, the figures for programs, and the goals. Pure."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from statistics import median
from typing import Any

from bench.edits.edit import BROKEN
from bench.edits.edit import TITLES as EDIT_TITLES
from bench.edits.environments import ALL, TITLES
from bench.edits.traffic import Impact
from proof.audit import Report

ROWS = EDIT_TITLES | {BROKEN.name: BROKEN.title}

QUICK_ENVIRONMENT, QUICK_EDITS, QUICK_SECONDS = "tilt", ("vote", "worker", "result"), 2.0
# A new requirement is a new container, or `make restart`; the comparison has no goal.
UNNOTICED_EDITS, OURS = ("vote", "worker", "result", "template", "broken"), ("tilt", "compose", "up")
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
        wrong = [f"could not be measured: {score.failed}"] if score.failed else []
        wrong += score.report.problems if score.report else []
        wrong += _noticed(score) if name in OURS else []
        found += [f"{TITLES[name]}: {what}" for what in wrong]
    return found


def _noticed(score: Score) -> list[str]:
    """What an edit did to people, or did not do at all."""
    unseen = [f"{ROWS[edit]}: never shown" for edit, times in score.seconds.items() if math.inf in times]
    failed = {edit: score.impacts.get(edit, Impact()).failed for edit in UNNOTICED_EDITS}
    return unseen + [f"{ROWS[edit]}: {many} requests failed; the goal is none" for edit, many in failed.items() if many]


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
    return f"{seconds:.1f} s" if seconds < math.inf else "never"


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

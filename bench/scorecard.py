"""The scorecard: a table for people, the figures for programs, and the goals. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from bench.edits import EDITS, REQUIREMENT, REQUIREMENT_TITLE
from bench.environment import TITLES
from bench.voting import Votes

ROWS = {edit.name: edit.title for edit in EDITS} | {REQUIREMENT: REQUIREMENT_TITLE}
ORDER = ("vote", "worker", "result", "template", REQUIREMENT, "locust")

GOAL_ENVIRONMENT = "tilt"
GOAL_EDITS = ("vote", "worker", "result")
GOAL_SECONDS = 2.0
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
    votes: Votes | None = None


def missed(scores: Mapping[str, Score]) -> list[str]:
    """Every goal that was missed, in words."""
    found = []
    for edit in GOAL_EDITS:
        times = scores.get(GOAL_ENVIRONMENT, Score()).seconds.get(edit)
        if times and median(times) > GOAL_SECONDS:
            found.append(
                f"{TITLES[GOAL_ENVIRONMENT]}, {ROWS[edit]}: {median(times):.2f} s; the goal is {GOAL_SECONDS:g} s"
            )
    for name, score in scores.items():
        if score.failed:
            found.append(f"{TITLES[name]} could not be measured: {score.failed}")
        unseen = [ROWS[edit] for edit, times in score.seconds.items() if math.inf in times]
        found += [f"{TITLES[name]}, {title}: an edit was never shown" for title in unseen]
        if score.votes is not None and (score.votes.lost or score.votes.problems):
            found.append(f"{TITLES[name]}: {score.votes.lost} accepted votes were lost")
            found += [f"{TITLES[name]}: {problem}" for problem in score.votes.problems]
    return found


def table(scores: Mapping[str, Score], *, rounds: int, machine: str) -> str:
    """The scorecard in Markdown."""
    head = [
        f"edit to effect, median of {rounds}" if rounds > 1 else "edit to effect",
        *(TITLES[name] for name in scores),
    ]
    rows = [head, ["---", *("---:" for _ in scores)]]
    rows += [[ROWS[edit], *(_median(score.seconds.get(edit)) for score in scores.values())] for edit in ORDER]
    for title, show in FACTS.items():
        rows.append([title, *(show(score) for score in scores.values())])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    skipped = [f"{TITLES[name]} was skipped: {score.missing}.\n" for name, score in scores.items() if score.missing]
    return "\n".join([*lines, "", *skipped, f"Measured on {machine}."]) + "\n"


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


def _median(times: Sequence[float] | None) -> str:
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
    votes = score.votes
    return NOTHING if votes is None else f"{votes.accepted:,} / {votes.counted:,} / {votes.lost} / {votes.unclear}"


FACTS = {
    "cold start, until the first vote is on the dashboard": _cold_start,
    "memory after the start": _memory,
    "votes meanwhile: accepted / counted / lost / refused or in doubt": _votes,
}

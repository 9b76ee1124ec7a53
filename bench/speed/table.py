"""The outcomes as a table for people, in Markdown, and as figures for programs. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.speed.outcome import Outcome, middle, number, spread

HEAD = ("stage", "ours", "measured against", "its figure", "unit", "ratio", "goal", "met")


def table(outcomes: Sequence[Outcome], *, rounds: int, machine: str) -> str:
    """The table in Markdown."""
    rows = [list(HEAD), ["---", "---:", "---", "---:", "---", "---:", "---:", "---"]]
    for outcome in outcomes:
        rows += _rows(outcome)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    notes = [f"{each.stage.name} was skipped: {each.skipped}.\n" for each in outcomes if each.skipped]
    notes += [f"{each.stage.name} could not be measured: {each.failed}\n" for each in outcomes if each.failed]
    turns = f"Medians of {rounds} rounds, in turn (least..most)." if rounds > 1 else "One round."
    return "\n".join([*lines, "", *notes, f"{turns} Measured on {machine}."]) + "\n"


def as_json(outcomes: Sequence[Outcome], *, seconds: float, machine: Mapping[str, str]) -> dict[str, Any]:
    """All figures; what was not measured is null."""
    stages = {}
    for outcome in outcomes:
        stage = outcome.stage
        stages[stage.name] = {
            "what": stage.what,
            "against": stage.against,
            "unit": stage.unit,
            "goal": stage.goal,
            "sense": stage.sense,
            "is_ratio": stage.is_ratio,
            "score": None if math.isnan(outcome.score) else round(outcome.score, 4),
            "skipped": outcome.skipped,
            "failed": outcome.failed,
            "missed": outcome.missed(),
            "rounds": {name: [dict(each) for each in rounds] for name, rounds in outcome.measured.items()},
        }
    return {"machine": dict(machine), "seconds": seconds, "stages": stages}


def _rows(outcome: Outcome) -> list[list[str]]:
    stage = outcome.stage
    names = list(stage.contenders)
    ours = spread(outcome.figures(names[0]))
    limit = spread(outcome.figures(names[1])) if stage.is_ratio else "-"
    ratio = number(outcome.score) if stage.is_ratio else "-"
    met = "-" if outcome.skipped else "no" if outcome.missed() else "yes"
    goal = f"{stage.sense} {number(stage.goal)}"
    rows = [[stage.what, ours, stage.against, limit, stage.unit, ratio, goal, met]]
    for name in names[2:]:
        further = outcome.figures(name)
        share = middle(outcome.figures(names[0])) / middle(further) if further else math.nan
        rows.append(["", "", name, spread(further), stage.unit, number(share), "-", "-"])
    for wish in stage.also:
        value = spread(outcome.figures(names[0], wish.figure))
        rows.append([f"- {wish.figure}", value, "-", "-", wish.unit, "-", f"{wish.sense} {number(wish.goal)}", ""])
    return rows

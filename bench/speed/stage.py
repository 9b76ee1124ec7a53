"""A stage is one part of a vote's path, its limit and a goal; an outcome is what was measured of it. Pure."""

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from bench.settings import BenchError
from bench.speed.place import Place

BUDGET = Path(__file__).resolve().parent.parent / "budget.toml"
FIGURE = "figure"

Sense = Literal["at least", "at most"]
# One figure, or several by name; FIGURE is then the one that is compared.
Measured = float | Mapping[str, float]
Contender = Callable[[Place], Measured]


@dataclass(frozen=True)
class Goal:
    """A goal for a further figure of ours, which stands for itself."""

    figure: str
    goal: float
    sense: Sense
    unit: str = ""


@dataclass(frozen=True)
class Stage:
    """One row of the table.

    The first contender is ours, the second its limit; any others are only shown. With two or more, the goal is for the
    ratio of the first to the second; with one, for its figure as it is.
    """

    name: str  # short, for STAGES="..." and the budget: letters, digits and hyphens
    what: str
    against: str  # what the second contender is, "-" if there is none
    unit: str
    goal: float
    sense: Sense
    contenders: Mapping[str, Contender]
    also: tuple[Goal, ...] = ()
    needs: tuple[str, ...] = ()  # programs on PATH, without which the stage is skipped
    rounds: int | None = None  # where it is not to be as many as were asked for

    @property
    def is_ratio(self) -> bool:
        """Whether the goal is for a ratio."""
        return len(self.contenders) > 1


@dataclass
class Outcome:
    """The figures of one stage; `skipped` or `failed` says why there are none."""

    stage: Stage
    measured: dict[str, list[Mapping[str, float]]] = field(default_factory=dict)
    skipped: str = ""
    failed: str = ""

    def add(self, contender: str, measured: Measured) -> None:
        """Note one round."""
        figures = measured if isinstance(measured, Mapping) else {FIGURE: float(measured)}
        self.measured.setdefault(contender, []).append(figures)

    def figures(self, contender: str, figure: str = FIGURE) -> list[float]:
        """One figure of every round."""
        return [each[figure] for each in self.measured.get(contender, []) if figure in each]

    @property
    def score(self) -> float:
        """The ratio of the medians, or the median of ours; not a number if not measured."""
        contenders = list(self.stage.contenders)
        ours = middle(self.figures(contenders[0]))
        if self.failed or not self.stage.is_ratio:
            return math.nan if self.failed else ours
        limit = middle(self.figures(contenders[1]))
        return ours / limit if limit else math.nan

    def missed(self) -> list[str]:
        """Every goal that is not met, in words."""
        stage = self.stage
        found = self.worse_than(stage.goal, "goal")
        if self.skipped or self.failed:
            return found
        for goal in stage.also:
            value = middle(self.figures(next(iter(stage.contenders)), goal.figure))
            if not _holds(value, goal.goal, goal.sense):
                wanted = f"{goal.sense} {number(goal.goal)} {goal.unit}".rstrip()
                found.append(f"{stage.name}, {goal.figure}: {number(value)}; the goal is {wanted}")
        return found

    def worse_than(self, bound: float, what: str) -> list[str]:
        """The score against a goal or a budget: nothing, or one line of words."""
        stage = self.stage
        if self.failed:
            return [f"{stage.name} could not be measured: {self.failed}"]
        if self.skipped or _holds(self.score, bound, stage.sense):
            return []
        return [f"{stage.name}: {number(self.score)}; the {what} is {stage.sense} {number(bound)}"]


def read_budget(path: Path = BUDGET) -> dict[str, float]:
    """The worst score for each stage's name, below its goal by what a noisy machine may cost; raises BenchError."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))["worst"]
        return {name: float(worst) for name, worst in found.items()}
    except (OSError, tomllib.TOMLDecodeError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise BenchError(f"{path} can't be read ({error}): write a number for each stage into [worst]") from None


def over_budget(outcomes: Sequence[Outcome], budget: Mapping[str, float]) -> list[str]:
    """Every measured stage that is worse than its budget, in words."""
    # a stage without a budget can only fail to be measured
    anything = {"at least": -math.inf, "at most": math.inf}
    return [
        line
        for outcome in outcomes
        for line in outcome.worse_than(budget.get(outcome.stage.name, anything[outcome.stage.sense]), "budget")
    ]


def table(outcomes: Sequence[Outcome], *, rounds: int, machine: str) -> str:
    """The outcomes in Markdown."""
    head = ["stage", "ours", "measured against", "its figure", "unit", "ratio", "goal", "met"]
    rows = [head, ["---", "---:", "---", "---:", "---", "---:", "---:", "---"]]
    rows += [row for outcome in outcomes for row in _rows(outcome)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    notes = [f"{each.stage.name} was skipped: {each.skipped}.\n" for each in outcomes if each.skipped]
    notes += [f"{each.stage.name} could not be measured: {each.failed}\n" for each in outcomes if each.failed]
    turns = f"Medians of {rounds} rounds, in turn (least..most)." if rounds > 1 else "One round."
    return "\n".join([*lines, "", *notes, f"{turns} Measured on {machine}."]) + "\n"


def as_json(outcomes: Sequence[Outcome], *, seconds: float, machine: Mapping[str, str]) -> dict[str, Any]:
    """All figures for programs; what was not measured is null."""
    stages = {}
    for outcome in outcomes:
        stage = outcome.stage
        stages[stage.name] = {
            **{name: getattr(stage, name) for name in ("what", "against", "unit", "goal", "sense", "is_ratio")},
            "score": None if math.isnan(outcome.score) else round(outcome.score, 4),
            "skipped": outcome.skipped,
            "failed": outcome.failed,
            "missed": outcome.missed(),
            "rounds": {name: [dict(each) for each in rounds] for name, rounds in outcome.measured.items()},
        }
    return {"machine": dict(machine), "seconds": seconds, "stages": stages}


def middle(figures: Sequence[float]) -> float:
    """The median, not a number if there are none."""
    return median(figures) if figures else math.nan


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that at least so many percent of the values don't exceed; not a number if there are none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values)) - 1)]


def number(value: float) -> str:
    """A figure for people: three significant digits, and whole from 100 on."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(figures: Sequence[float]) -> str:
    """The median and, when there are several, the least and the most."""
    if len(figures) < 2:
        return number(middle(figures))
    return f"{number(middle(figures))} ({number(min(figures))}..{number(max(figures))})"


def _holds(value: float, goal: float, sense: Sense) -> bool:
    """Whether a value is as good as the goal; what was not measured never is."""
    return value >= goal if sense == "at least" else value <= goal


def _rows(outcome: Outcome) -> list[list[str]]:
    stage = outcome.stage
    names = list(stage.contenders)
    ours = outcome.figures(names[0])
    limit = spread(outcome.figures(names[1])) if stage.is_ratio else "-"
    ratio = number(outcome.score) if stage.is_ratio else "-"
    met = "-" if outcome.skipped else "no" if outcome.missed() else "yes"
    goal = f"{stage.sense} {number(stage.goal)}"
    rows = [[stage.what, spread(ours), stage.against, limit, stage.unit, ratio, goal, met]]
    for name in names[2:]:
        further = outcome.figures(name)
        share = middle(ours) / middle(further) if further else math.nan
        rows.append(["", "", name, spread(further), stage.unit, number(share), "-", "-"])
    for wish in stage.also:
        value = spread(outcome.figures(names[0], wish.figure))
        rows.append([f"- {wish.figure}", value, "-", "-", wish.unit, "-", f"{wish.sense} {number(wish.goal)}", ""])
    return rows

"""What came out: medians, their spread, the ratio, and whether it is as good as the goal. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.speed.stage import FIGURE, Measured, Stage, holds


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
        """What the goal is for: the ratio of the medians, or the median of ours; not a number if not measured."""
        contenders = list(self.stage.contenders)
        ours = middle(self.figures(contenders[0]))
        if self.failed or not self.stage.is_ratio:
            return math.nan if self.failed else ours
        limit = middle(self.figures(contenders[1]))
        return ours / limit if limit else math.nan

    def missed(self) -> list[str]:
        """Every goal that is not met, in words."""
        stage = self.stage
        if self.skipped:
            return []
        if self.failed:
            return [f"{stage.name} could not be measured: {self.failed}"]
        found = []
        if not holds(self.score, stage.goal, stage.sense):
            found.append(f"{stage.name}: {number(self.score)}; the goal is {stage.sense} {number(stage.goal)}")
        ours = next(iter(stage.contenders))
        for goal in stage.also:
            value = middle(self.figures(ours, goal.figure))
            if not holds(value, goal.goal, goal.sense):
                wanted = f"{goal.sense} {number(goal.goal)} {goal.unit}".rstrip()
                found.append(f"{stage.name}, {goal.figure}: {number(value)}; the goal is {wanted}")
        return found


def middle(figures: Sequence[float]) -> float:
    """The median, not a number if there are none."""
    return median(figures) if figures else math.nan


def number(value: float) -> str:
    """A figure for people: three digits that count, and no more than the thousands need."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(figures: Sequence[float]) -> str:
    """The median and, when there are several, the least and the most."""
    if len(figures) < 2:
        return number(middle(figures))
    return f"{number(middle(figures))} ({number(min(figures))}..{number(max(figures))})"

"""What a stage is: a part of a vote's path, what it is measured against, and the goal. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from bench.speed.place import Place

Sense = Literal["at least", "at most"]
# One figure, or several by name; FIGURE is then the one that is compared.
Measured = float | Mapping[str, float]
Contender = Callable[[Place], Measured]

FIGURE = "figure"


@dataclass(frozen=True)
class Goal:
    """A goal for a further figure of ours, which stands for itself and is compared with nothing."""

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


def holds(value: float, goal: float, sense: Sense) -> bool:
    """Whether a value is as good as the goal; what was not measured never is."""
    return value >= goal if sense == "at least" else value <= goal

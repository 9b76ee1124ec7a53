"""The budget: for each stage the worst that is still taken, with slack below its goal for a noisy machine."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.speed.outcome import Outcome, number
from bench.speed.stage import holds

BUDGET = Path(__file__).resolve().parent.parent / "budget.toml"


def read_budget(path: Path = BUDGET) -> dict[str, float]:
    """The worst score for each stage's name; raises BenchError."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))["worst"]
        return {name: float(worst) for name, worst in found.items()}
    except (OSError, tomllib.TOMLDecodeError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise BenchError(f"{path} can't be read ({error}): write a number for each stage into [worst]") from None


def over_budget(outcomes: Sequence[Outcome], budget: Mapping[str, float]) -> list[str]:
    """Every measured stage that is worse than its budget, in words."""
    found = []
    for outcome in outcomes:
        stage = outcome.stage
        worst = budget.get(stage.name)
        if outcome.failed:
            found.append(f"{stage.name} could not be measured: {outcome.failed}")
        elif worst is not None and not outcome.skipped and not holds(outcome.score, worst, stage.sense):
            found.append(f"{stage.name}: {number(outcome.score)}; the budget is {stage.sense} {number(worst)}")
    return found

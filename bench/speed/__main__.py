"""Measures and prints the table: `make bench`, STAGES="post-form get", ROUNDS=3, SECONDS=4.

With --check, the budget counts instead of the goals: `make bench-check`.
"""

import json
import sys
from collections.abc import Sequence

from bench.alone import alone, end_by_signals
from bench.errors import BenchError
from bench.machine import machine, sentence
from bench.speed.budget import over_budget, read_budget
from bench.speed.outcome import Outcome
from bench.speed.picture import picture
from bench.speed.runner import measure_all
from bench.speed.settings import Settings, read_settings
from bench.speed.stage import Stage
from bench.speed.stages import all_stages
from bench.speed.table import as_json, table
from local.errors import LocalError


def main(arguments: Sequence[str]) -> int:
    """Measure and show; 1 if a goal, or with --check the budget, is missed."""
    end_by_signals()
    try:
        budget = read_budget() if "--check" in arguments else None
        settings = read_settings()
        stages = chosen(all_stages(), settings.names, budget)
        with alone(settings.folder):
            outcomes = _measure_and_show(stages, settings)
    except (BenchError, LocalError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    bad = over_budget(outcomes, budget) if budget is not None else [line for each in outcomes for line in each.missed()]
    for line in bad:
        print(f"{'missed' if budget is None else 'over budget'}: {line}", file=sys.stderr)
    return 1 if bad else 0


def chosen(stages: Sequence[Stage], names: Sequence[str], budget: dict[str, float] | None) -> list[Stage]:
    """The stages of these names, all if there are none (with a budget: all that it names); raises BenchError."""
    known = [stage.name for stage in stages]
    if unknown := [name for name in (*names, *(budget or ())) if name not in known]:
        raise BenchError(f"there is no stage {unknown[0]!r}: name some of {', '.join(known)}")
    wanted = names or tuple(budget or known)
    return [stage for stage in stages if stage.name in wanted]


def _measure_and_show(stages: Sequence[Stage], settings: Settings) -> list[Outcome]:
    facts = machine()
    folder = settings.folder

    def say(line: str) -> None:
        print(line, flush=True)

    outcomes = measure_all(stages, rounds=settings.rounds, seconds=settings.seconds, folder=folder, say=say)
    text = table(outcomes, rounds=settings.rounds, machine=sentence(facts))
    figures = as_json(outcomes, seconds=settings.seconds, machine=facts)
    (folder / "speed.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (folder / "speed.md").write_text(text, encoding="utf-8")
    (folder / "speed.svg").write_text(picture(outcomes), encoding="utf-8")
    print(f"\n{text}\n(also in {folder}: speed.md, speed.json, speed.svg)")
    return outcomes


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Measures every stage beside its limit: `make bench`, STAGES="post-form page", ROUNDS=3, SECONDS=4.

With --check, the budget counts instead of the goals: `make bench-check`.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.machine import machine, sentence
from bench.settings import BenchError, alone, end_by_signals, names, results_folder, whole_number
from bench.speed import http, reading, recording, viewers, whole
from bench.speed.place import place
from bench.speed.stage import FIGURE, Outcome, Stage, as_json, number, over_budget, read_budget, table

STAGES: tuple[Stage, ...] = (*http.STAGES, *reading.STAGES, *recording.STAGES, *viewers.STAGES, *whole.STAGES)

Say = Callable[[str], None]


def main(arguments: Sequence[str]) -> int:
    """Measure and show; 1 if a goal, or with --check the budget, is missed."""
    end_by_signals()
    recording.be_quiet()
    try:
        budget = read_budget() if "--check" in arguments else None
        outcomes = _measure_and_show(chosen(STAGES, budget))
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    bad = over_budget(outcomes, budget) if budget is not None else [line for each in outcomes for line in each.missed()]
    for line in bad:
        print(f"{'missed' if budget is None else 'over budget'}: {line}", file=sys.stderr)
    return 1 if bad else 0


def chosen(stages: Sequence[Stage], budget: dict[str, float] | None) -> list[Stage]:
    """The stages that STAGES names, by default all (with a budget: all that it names); raises BenchError."""
    known = [stage.name for stage in stages]
    if unknown := [name for name in budget or () if name not in known]:
        raise BenchError(f"the budget has a stage {unknown[0]!r} that there is not: name some of {', '.join(known)}")
    wanted = names("STAGES", known)
    return [stage for stage in stages if stage.name in wanted and (budget is None or stage.name in budget)]


def measure_all(stages: Sequence[Stage], *, rounds: int, seconds: float, folder: Path, say: Say) -> list[Outcome]:
    """Every stage in turn; one that fails says so, and the others are measured all the same."""
    began = time.monotonic()
    outcomes = [Outcome(stage) for stage in stages]
    for place_in_line, outcome in enumerate(outcomes, 1):
        for news in _measure(outcome, outcome.stage.rounds or rounds, seconds, folder):
            say(f"{time.monotonic() - began:6.1f} s  {place_in_line}/{len(outcomes)} {outcome.stage.name}{news}")
    return outcomes


def _measure(outcome: Outcome, rounds: int, seconds: float, folder: Path) -> Iterator[str]:
    """The contenders of a stage, A B A B, each alone in a fresh place; yields the news."""
    stage = outcome.stage
    if absent := [program for program in stage.needs if shutil.which(program) is None]:
        outcome.skipped = f"no {' and no '.join(absent)} on PATH: install it to measure this"
        yield f": skipped, {outcome.skipped}"
        return
    for turn, name in ((turn, name) for turn in range(1, rounds + 1) for name in stage.contenders):
        try:
            with place(folder / "run", seconds) as here:
                measured = stage.contenders[name](here)
        except (BenchError, OSError) as error:
            outcome.failed = f"{name}: {error}"
            yield f": given up, {outcome.failed}"
            return
        outcome.add(name, measured)
        figure = measured if isinstance(measured, int | float) else measured[FIGURE]
        yield f", round {turn} of {rounds}, {name}: {number(figure)} {stage.unit}"


def _measure_and_show(stages: Sequence[Stage]) -> list[Outcome]:
    folder, facts = results_folder("bench"), machine()
    rounds, seconds = whole_number("ROUNDS", 3), whole_number("SECONDS", 4)
    with alone(folder):
        outcomes = measure_all(
            stages, rounds=rounds, seconds=seconds, folder=folder, say=lambda line: print(line, flush=True)
        )
    text = table(outcomes, rounds=rounds, machine=sentence(facts))
    figures = as_json(outcomes, seconds=seconds, machine=facts)
    (folder / "speed.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (folder / "speed.md").write_text(text, encoding="utf-8")
    print(f"\n{text}\n(also in {folder}: speed.md, speed.json)")
    return outcomes


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

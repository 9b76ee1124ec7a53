"""Prints the scorecard of the environments: `make dev-bench`, ENVIRONMENTS="tilt compose up hypercorn", ROUNDS=3.

Everything happens in a copy of the project, with ports, containers and data of its own; at the end all of it is gone.
"""

import json
import shutil
import sys
import time
from functools import partial

from bench.edits.containers import Compose, Tilt
from bench.edits.environments import TITLES, PlainHypercorn, Up, copy_of_the_project
from bench.edits.measure import measure
from bench.edits.scorecard import Score, as_json, missed, table
from bench.machine import machine, sentence
from bench.processes import uninterrupted
from bench.settings import BenchError, alone, end_by_signals, names, results_folder, whole_number

ENVIRONMENTS: dict[str, type[Up | Compose | Tilt]] = {
    "tilt": Tilt,
    "compose": Compose,
    "up": Up,
    "hypercorn": PlainHypercorn,
}
FOLDER = results_folder("dev-bench")


def main() -> int:
    """Measure and show; 1 if a goal was missed or an environment can't be measured."""
    end_by_signals()
    try:
        chosen, turns = names("ENVIRONMENTS", list(ENVIRONMENTS)), whole_number("ROUNDS", 3)
        with alone(FOLDER):
            return _measure_all(chosen, turns)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _measure_all(chosen: tuple[str, ...], turns: int) -> int:
    facts = machine()
    scores = {name: _score(name, turns) for name in chosen}
    card = table(scores, rounds=turns, machine=sentence(facts))
    figures = as_json(scores, rounds=turns, machine=facts)
    (FOLDER / "scorecard.md").write_text(card, encoding="utf-8")
    (FOLDER / "scorecard.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(f"\n{card}\n(also in {FOLDER}: scorecard.md, scorecard.json)")
    goals = missed(scores)
    for goal in goals:
        print(f"missed: {goal}", file=sys.stderr)
    return 1 if goals else 0


def _score(name: str, turns: int) -> Score:
    say = partial(_say, name, time.monotonic())
    kind = ENVIRONMENTS[name]
    if reason := kind.missing():
        say(f"skipped: {reason}")
        return Score(missing=reason)
    say("copying the project")
    environment = kind(copy_of_the_project(FOLDER / "copy"), FOLDER / "logs" / f"{name}.log")
    votes = FOLDER / "votes" / name
    shutil.rmtree(votes, ignore_errors=True)
    try:
        return measure(environment, rounds=turns, votes=votes, say=say)
    except BenchError as error:
        say(f"given up: {error}")
        return Score(failed=str(error).splitlines()[0])
    finally:
        say("stopping")
        with uninterrupted():
            environment.stop()
            shutil.rmtree(environment.folder, ignore_errors=True)


def _say(name: str, began: float, text: str) -> None:
    print(f"{time.monotonic() - began:6.1f} s  {TITLES[name]}: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

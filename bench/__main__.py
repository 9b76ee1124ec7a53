"""Prints the scorecard of the environments: `make dev-bench`, ENVIRONMENTS="tilt compose up", ROUNDS=3.

Everything happens in a copy of the project, with ports, containers and data of its own; at the end all of it is gone.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import compose, tilt, up
from bench.alone import alone, end_by_signals
from bench.commands import uninterrupted
from bench.environment import TITLES, Environment, copy_of_the_project
from bench.errors import BenchError, NotSeen
from bench.machine import machine, sentence
from bench.measure import measure
from bench.scorecard import Score, as_json, missed, table
from bench.settings import Settings, read_settings

MISSING: dict[str, Callable[[], str]] = {"tilt": tilt.missing, "compose": compose.missing, "up": up.missing}
MAKERS: dict[str, Callable[[Path, Path], Environment]] = {"tilt": tilt.Tilt, "compose": compose.Compose, "up": up.Up}


def main() -> int:
    """Measure and show; 1 if a goal was missed or an environment can't be measured."""
    end_by_signals()
    try:
        settings = read_settings()
        with alone(settings.folder):
            return _measure_all(settings)
    except (BenchError, NotSeen) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _measure_all(settings: Settings) -> int:
    facts = machine()
    scores = {name: _score(name, settings) for name in settings.environments}
    card = table(scores, rounds=settings.rounds, machine=sentence(facts))
    figures = as_json(scores, rounds=settings.rounds, machine=facts)
    (settings.folder / "scorecard.md").write_text(card, encoding="utf-8")
    (settings.folder / "scorecard.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(f"\n{card}\n(also in {settings.folder}/scorecard.md and .json)")
    goals = missed(scores)
    for goal in goals:
        print(f"missed: {goal}", file=sys.stderr)
    return 1 if goals else 0


def _score(name: str, settings: Settings) -> Score:
    say = partial(_say, name, time.monotonic())
    if reason := MISSING[name]():
        say(f"skipped: {reason}")
        return Score(missing=reason)
    say("copying the project")
    environment = MAKERS[name](copy_of_the_project(settings.folder / "copy"), settings.folder / "logs" / f"{name}.log")
    votes = settings.folder / "votes" / name
    shutil.rmtree(votes, ignore_errors=True)
    try:
        return measure(environment, rounds=settings.rounds, votes=votes, say=say)
    except (BenchError, NotSeen) as error:
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

"""Measures stages: each contender alone, in turn, round by round."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.speed.outcome import Outcome, number
from bench.speed.place import place
from bench.speed.stage import FIGURE, Measured, Stage
from local.errors import LocalError

Say = Callable[[str], None]


def measure_all(stages: Sequence[Stage], *, rounds: int, seconds: float, folder: Path, say: Say) -> list[Outcome]:
    """Every stage; one that fails says so, and the others are measured all the same."""
    steps = sum(len(stage.contenders) * (stage.rounds or rounds) for stage in stages)
    counter = Counter(steps, say)
    return [_measure(stage, stage.rounds or rounds, seconds, folder, counter) for stage in stages]


class Counter:
    """Says where we are."""

    def __init__(self, steps: int, say: Say) -> None:
        self._steps, self._say = steps, say
        self._done = 0
        self._began = time.monotonic()

    def step(self, text: str) -> None:
        self._done += 1
        self.say(f"{self._done}/{self._steps} {text}")

    def skip(self, steps: int) -> None:
        self._done += steps

    def say(self, text: str) -> None:
        self._say(f"{time.monotonic() - self._began:6.1f} s  {text}")


def _measure(stage: Stage, rounds: int, seconds: float, folder: Path, counter: Counter) -> Outcome:
    outcome = Outcome(stage)
    if absent := [program for program in stage.needs if shutil.which(program) is None]:
        outcome.skipped = f"no {' and no '.join(absent)} on PATH: install it to measure this"
        counter.say(f"{stage.name}: skipped, {outcome.skipped}")
        counter.skip(len(stage.contenders) * rounds)
        return outcome
    turns = [name for _ in range(rounds) for name in stage.contenders]
    for done, contender in enumerate(turns):
        try:
            with place(folder / "run", seconds) as here:
                measured = stage.contenders[contender](here)
        except (BenchError, LocalError, OSError) as error:
            outcome.failed = f"{contender}: {error}"
            counter.say(f"{stage.name}: given up, {outcome.failed}")
            counter.skip(len(turns) - done)
            return outcome
        outcome.add(contender, measured)
        turn = done // len(stage.contenders) + 1
        counter.step(f"{stage.name}, round {turn} of {rounds}, {contender}: {_shown(measured)} {stage.unit}")
    return outcome


def _shown(measured: Measured) -> str:
    return number(measured if isinstance(measured, int | float) else measured[FIGURE])

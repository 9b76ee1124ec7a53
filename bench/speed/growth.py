"""What a vote or a message costs as things grow: `make bench-growth`, MAX=100000 for less.

Each curve goes to .data/bench/ as a picture and as JSON, with a line that says from where on it bends upward.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from bench.alone import alone
from bench.errors import BenchError
from bench.machine import machine, sentence
from bench.speed.curve import Curve, plot, verdict
from bench.speed.growing import Points, options, stored, waiting
from bench.speed.place import Place, place
from bench.speed.settings import read_settings
from bench.speed.stage import FIGURE
from bench.speed.stages.recorder import be_quiet
from bench.speed.stages.sizes import size
from bench.speed.stages.viewers import result, watched
from local.errors import LocalError

LARGEST = 10_000_000
SECONDS = 3.0
VIEWERS = (10, 100, 1000, 2000, 5000)

# Gives the sizes up to the largest, each with its cost.
Measure = Callable[[Place, int], Points]
Grow = Callable[[Place, int], Coroutine[Any, Any, Points]]


def viewers(here: Place, most: int) -> Points:
    """Microseconds of the result service's processor for a message, by the number of viewers."""
    points = []
    with here.postgres() as postgres:
        for number in (each for each in VIEWERS if each <= most):
            with result(here, postgres.url) as server:
                figures = watched(here, server, number, postgres.url)
            points.append((float(number), 1e6 / figures[FIGURE]))
    return points


def on_one_core(grow: Grow) -> Measure:
    """A measurement in this process, which is on the server's core meanwhile."""

    def measure(here: Place, most: int) -> Points:
        before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        try:
            return asyncio.run(grow(here, most))
        finally:
            if before is not None:
                os.sched_setaffinity(0, before)

    return measure


CURVES: tuple[tuple[str, str, str, str, Measure], ...] = (
    ("stored", "Recording a vote", "votes stored", "µs", on_one_core(stored)),
    ("waiting", "Recording a vote of a long queue", "votes waiting", "µs", on_one_core(waiting)),
    ("options", "Recording a vote of a long ballot", "options", "µs", on_one_core(options)),
    ("viewers", "A snapshot for one viewer (processor time)", "viewers", "µs", viewers),
)


def main() -> int:
    """Measure every curve, and say what it does."""
    be_quiet()
    try:
        folder = read_settings().folder
        most = size("MAX", LARGEST, least=10)
        with alone(folder):
            curves = [_curve(folder, most, *what) for what in CURVES]
    except (BenchError, LocalError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    facts = machine()
    lines = [f"- {verdict(curve)}" for curve in curves]
    text = "\n".join([*lines, "", f"Measured on {sentence(facts)}."])
    figures = {"machine": facts, "curves": {curve.name: list(curve.points) for curve in curves}}
    (folder / "growth.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (folder / "growth.md").write_text(f"{text}\n", encoding="utf-8")
    print(f"\n{text}\n(also in {folder}: growth.md, growth.json, growth-*.svg)")
    return 0


def _curve(folder: Path, most: int, name: str, title: str, x: str, unit: str, measure: Measure) -> Curve:
    began = time.monotonic()
    with place(folder / "run", SECONDS) as here:
        curve = Curve(name, title, x, unit, measure(here, most))
    if curve.points:
        (folder / f"growth-{name}.svg").write_text(plot(curve), encoding="utf-8")
    print(f"{time.monotonic() - began:6.1f} s  {verdict(curve)}", flush=True)
    return curve


if __name__ == "__main__":
    sys.exit(main())

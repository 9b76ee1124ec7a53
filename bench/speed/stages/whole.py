"""The whole system: from a vote to the screens, memory, and start."""

import json
import time

from bench.speed.place import Place
from bench.speed.stage import FIGURE, Goal, Measured, Stage
from bench.speed.stages.system import started

IDLE_SECONDS = 3.0


def _screens(place: Place) -> Measured:
    with started(place) as system:
        ports = str(system.ports["vote"]), str(system.ports["result"])
        command = place.python("bench.speed.stages.screens", *ports, str(place.seconds))
        measured = json.loads(place.run(command, core=place.load_core))
    return {FIGURE: measured.pop("p50 ms"), **measured}


def _idle(place: Place) -> Measured:
    with started(place) as system:
        time.sleep(IDLE_SECONDS)
        return system.megabytes()


def _second_start(place: Place) -> Measured:
    with started(place) as first:
        pass
    with started(place) as second:
        return {FIGURE: second.ready_seconds, "first start s": first.ready_seconds}


STAGES = (
    Stage(
        name="screen",
        what="vote to screen, the median; 200 votes/s, 100 viewers",
        against="-",
        unit="ms",
        goal=30,
        sense="at most",
        contenders={"make up": _screens},
        also=(Goal("p99 ms", 120, "at most", "ms"),),
    ),
    Stage(
        name="memory",
        what="memory when idle, without PostgreSQL and Redis",
        against="-",
        unit="MB",
        goal=250,
        sense="at most",
        contenders={"make up": _idle},
        rounds=1,
    ),
    Stage(
        name="start",
        what="second start of make up, until all is ready",
        against="-",
        unit="s",
        goal=4,
        sense="at most",
        contenders={"make up": _second_start},
    ),
)

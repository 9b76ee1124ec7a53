"""Reading: what a dashboard's reading costs, with many votes stored and with few."""

import json
from collections.abc import Callable

from bench.speed.place import Place
from bench.speed.stage import FIGURE, Contender, Measured, Stage
from bench.speed.stages.sizes import size
from bench.speed.stages.stored import stored

MANY = 10_000_000
FEW = 100


def _reading(votes: Callable[[], int]) -> Contender:
    def measure(place: Place) -> Measured:
        with stored(place, votes()) as postgres:
            command = place.python("bench.speed.stages.reader", postgres.url, str(place.seconds))
            measured = json.loads(place.run(command, core=place.server_core))
        return {FIGURE: measured["microseconds"], "votes stored": votes()}

    return measure


def _many() -> int:
    return size("STORED", MANY)


STAGES = (
    Stage(
        name="read",
        what="one dashboard reading, 10 million votes stored (or STORED=...)",
        against="the same with 100",
        unit="µs",
        goal=1.2,
        sense="at most",
        contenders={"many votes": _reading(_many), "100 votes": _reading(lambda: FEW)},
    ),
)

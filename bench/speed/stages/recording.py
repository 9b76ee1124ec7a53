"""Recording: peek, record and settle, beside COPY."""

import json

from bench.speed.place import Place
from bench.speed.stage import FIGURE, Contender, Measured, Stage
from bench.speed.stages.sizes import size
from common.settings import Settings

WAITING = 200_000
BATCH: int = Settings.model_fields["batch_size"].default
AGAINST = "one COPY of the same rows, no triggers"


def _recorder(mode: str) -> Contender:
    def measure(place: Place) -> Measured:
        votes = size("VOTES", WAITING)
        with place.postgres() as postgres, place.redis() as redis:
            command = place.python("bench.speed.stages.recorder", mode, postgres.url, redis.url, str(votes), str(BATCH))
            measured = json.loads(place.run(command, core=place.server_core, timeout=300))
        return {FIGURE: votes / measured["seconds"], "Python": measured["processor"] / measured["seconds"]}

    return measure


STAGES = (
    Stage(
        name="record",
        what="waiting votes recorded: peek, record, settle",
        against=AGAINST,
        unit="votes/s",
        goal=0.55,
        sense="at least",
        contenders={"worker": _recorder("new"), "COPY": _recorder("copy")},
    ),
    Stage(
        name="record-changes",
        what="the same, every vote a change",
        against=AGAINST,
        unit="votes/s",
        goal=0.35,
        sense="at least",
        contenders={"worker": _recorder("changed"), "COPY": _recorder("copy")},
    ),
)

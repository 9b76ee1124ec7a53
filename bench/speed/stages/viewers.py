"""Viewers: messages a second from one core, beside a WebSocket server that does nothing else."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from bench.speed.place import HOST, Place, answers, listens
from bench.speed.stage import FIGURE, Goal, Measured, Stage
from bench.speed.stages.sizes import size
from bench.speed.stages.web_servers import Running
from worker.schema import SCHEMA

VIEWERS = 2000


def _ours(place: Place) -> Measured:
    with place.postgres() as postgres, result(place, postgres.url) as server:
        return watched(place, server, size("VIEWERS", VIEWERS, least=10), postgres.url)


def _bare(place: Place) -> Measured:
    port, viewers = place.port(), size("VIEWERS", VIEWERS, least=10)
    argv = place.python("bench.speed.stages.bare_socket", str(port), str(viewers))
    with place.process(argv, core=place.server_core, ready=listens(port)) as process:
        return watched(place, Running(port, process.pid), viewers)


@contextmanager
def result(place: Place, database_url: str) -> Iterator[Running]:
    """The result service, with our tables."""
    asyncio.run(_make_tables(database_url))
    port = place.port()
    environ = {"DATABASE_URL": database_url, "RESULT_PORT": str(port), "HOST": HOST}
    argv = place.python("result")
    with place.process(argv, core=place.server_core, environ=environ, ready=answers(port)) as process:
        yield Running(port, process.pid)


def watched(place: Place, server: Running, viewers: int, *database_url: str) -> dict[str, float]:
    """What so many viewers got. By the core: in a second of the server's processor time."""
    numbers = map(str, (server.port, server.pid, viewers, place.seconds))
    command = place.python("bench.speed.stages.watchers", *numbers)
    measured = json.loads(place.run([*command, *database_url], core=place.load_core, timeout=120))
    by_clock = measured["messages"] / measured["seconds"]
    return {
        FIGURE: measured["messages"] / measured["busy"] if measured["busy"] else by_clock,
        "by the clock": by_clock,
        "busy": measured["busy"] / measured["seconds"],
        "slowest viewer": measured["slowest viewer"],
        "p50 ms": measured["p50 ms"],
        "p99 ms": measured["p99 ms"],
    }


async def _make_tables(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(SCHEMA.read_text(encoding="utf-8"))
    await connection.close()


STAGES = (
    Stage(
        name="viewers",
        what="snapshots sent to 2,000 viewers (or VIEWERS=...), 10 updates/s",
        against="a bare WebSocket server on Hypercorn, the same bytes",
        unit="messages/s",
        goal=0.9,
        sense="at least",
        contenders={"result": _ours, "bare": _bare},
        also=(Goal("slowest viewer", 4, "at least", "updates/s"), Goal("p99 ms", 500, "at most", "ms")),
    ),
)

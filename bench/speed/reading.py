"""What one dashboard's reading of the tally costs, with many votes stored and with few."""

import asyncio
import atexit
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import asyncpg

from bench.settings import BenchError, whole_number
from bench.speed.place import Place
from bench.speed.stage import FIGURE, Contender, Measured, Stage
from common.ballot import Ballot
from common.settings import Settings
from result.tally import read_tally, snapshot
from worker.schema import SCHEMA

MANY = 10_000_000
FEW = 100
WARM_UP = 50
CHUNK = 1_000_000

# The project's own triggers keep the tallies. Ids as random as real ones: each new voter belongs anywhere in the index.
FILL = """
INSERT INTO votes (voter_id, vote, cast_at)
     SELECT md5(n::text), chr(97 + n % 2), now() FROM generate_series($1::int, $2::int) AS n
"""
# An index that is made of all rows at once is made in a tenth of the time.
WITHOUT_INDEX = "ALTER TABLE votes DROP CONSTRAINT votes_voter_id_key"
WITH_INDEX = "ALTER TABLE votes ADD CONSTRAINT votes_voter_id_key UNIQUE (voter_id)"
WRONG = """
SELECT count(*) FROM (SELECT vote, count(*) AS votes FROM votes GROUP BY vote) AS counted
  FULL JOIN tallies USING (vote) WHERE counted.votes IS DISTINCT FROM tallies.votes
"""


def _reading(votes: Callable[[], int]) -> Contender:
    def measure(here: Place) -> Measured:
        with _stored(here, votes()) as database_url:
            took = here.run(_microseconds(database_url, here.seconds), core=here.server_core)
        return {FIGURE: took, "votes stored": votes()}

    return measure


STAGES = (
    Stage(
        name="read",
        what="one dashboard reading, 10 million votes stored (or STORED=...)",
        against="the same with 100",
        unit="µs",
        goal=1.2,
        sense="at most",
        contenders={
            "many votes": _reading(lambda: whole_number("STORED", MANY, least=1000)),
            "100 votes": _reading(lambda: FEW),
        },
    ),
)


@contextmanager
def _stored(here: Place, votes: int) -> Iterator[str]:
    """A PostgreSQL with so many votes, filled once in a run."""
    folder = here.folder.parent / f"stored-{votes}"
    is_new = folder not in _filled
    if is_new:
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was cut off
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with here.postgres(folder) as database_url:
        if is_new:
            asyncio.run(_fill(database_url, votes))
            _filled.add(folder)
        yield database_url


_filled: set[Path] = set()


async def _fill(url: str, votes: int) -> None:
    """Make the tables and the votes; raises BenchError if the tallies are not right."""
    connection = await asyncpg.connect(url, server_settings={"synchronous_commit": "off", "work_mem": "64MB"})
    try:
        await connection.execute(SCHEMA.read_text(encoding="utf-8"))
        await fill_up(connection, 0, votes)
        if await connection.fetchval(WRONG):
            raise BenchError("the tallies are not what the votes say: mend the triggers in db/schema.sql first")
    finally:
        await connection.close()


async def fill_up(connection: asyncpg.Connection, there: int, votes: int) -> None:
    """Add votes to so many that are there, and leave the server nothing to tidy up afterwards."""
    await connection.execute(WITHOUT_INDEX)
    await connection.execute("SET maintenance_work_mem = '256MB'")
    for first in range(there + 1, votes + 1, CHUNK):
        await connection.execute(FILL, first, min(votes, first + CHUNK - 1), timeout=600)
    for statement in (WITH_INDEX, "VACUUM ANALYZE", "CHECKPOINT"):
        await connection.execute(statement, timeout=600)


async def _microseconds(database_url: str, seconds: float) -> float:
    """From the query to the text that every viewer gets: the median in microseconds."""
    ballot = Settings.from_env().ballot
    connection = await asyncpg.connect(database_url)
    try:
        for _ in range(WARM_UP):
            await _read(connection, ballot)
        took = []
        until = time.perf_counter() + seconds
        while (began := time.perf_counter()) < until:
            await _read(connection, ballot)
            took.append(time.perf_counter() - began)
    finally:
        await connection.close()
    return 1e6 * median(took)


async def _read(connection: asyncpg.Connection, ballot: Ballot) -> str:
    return json.dumps(snapshot(await read_tally(connection), ballot))

"""A database in which many votes are stored: filled once in a run, gone with it."""

import asyncio
import atexit
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from bench.errors import BenchError
from bench.speed.place import Place, pin
from local import servers
from worker.schema import SCHEMA

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


@contextmanager
def stored(place: Place, votes: int) -> Iterator[servers.Server]:
    """A PostgreSQL with so many votes; raises BenchError if the tallies are not right."""
    folder = place.folder.parent / f"stored-{votes}"
    is_new = folder not in _filled
    if is_new:
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was cut off
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir(parents=True)
    with servers.postgres(folder) as server:
        if is_new:
            asyncio.run(fill(server.url, votes))
            _filled.add(folder)
        if server.process is not None:
            pin(server.process.pid, place.load_core)
        yield server


async def fill(url: str, votes: int) -> None:
    """Make the tables and the votes, chunk by chunk."""
    connection = await asyncpg.connect(url, server_settings={"synchronous_commit": "off", "work_mem": "64MB"})
    try:
        await connection.execute(SCHEMA.read_text(encoding="utf-8"))
        await fill_up(connection, 0, votes)
        if await connection.fetchval(WRONG):
            raise BenchError("the tallies are not what the votes say: mend the triggers in db/schema.sql first")
    finally:
        await connection.close()


async def fill_up(connection: asyncpg.Connection, there: int, votes: int) -> None:
    """Add votes where so many are there already; nothing of that is left to be done by the server afterwards."""
    await connection.execute(WITHOUT_INDEX)
    await connection.execute("SET maintenance_work_mem = '256MB'")
    for first in range(there + 1, votes + 1, CHUNK):
        await connection.execute(FILL, first, min(votes, first + CHUNK - 1), timeout=600)
    await connection.execute(WITH_INDEX, timeout=600)
    await connection.execute("VACUUM ANALYZE", timeout=600)
    await connection.execute("CHECKPOINT", timeout=600)


_filled: set[object] = set()

"""Reads the tally as the dashboard does, again and again: `python -m bench.speed.stages.reader DATABASE_URL SECONDS`.

Prints JSON: the median of a reading in microseconds, and how many there were.
"""

import asyncio
import json
import sys
import time
from statistics import median

import asyncpg

from common.ballot import Ballot
from common.settings import Settings
from result.tally import read_tally, snapshot

WARM_UP = 50


async def main(database_url: str, seconds: float) -> dict[str, float]:
    """From the question to PostgreSQL to the text that every viewer gets."""
    ballot = Settings.from_env().ballot
    connection = await asyncpg.connect(database_url)
    try:
        for _ in range(WARM_UP):
            await read(connection, ballot)
        took = []
        until = time.perf_counter() + seconds
        while (began := time.perf_counter()) < until:
            await read(connection, ballot)
            took.append(time.perf_counter() - began)
    finally:
        await connection.close()
    return {"microseconds": 1e6 * median(took), "readings": len(took)}


async def read(connection: asyncpg.Connection, ballot: Ballot) -> str:
    return json.dumps(snapshot(await read_tally(connection), ballot))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], float(sys.argv[2])))))

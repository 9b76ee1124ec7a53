"""Looks at the system before and after a run: `python -m loadtest.look before FOLDER`, then `after FOLDER`.

In a process of its own, because asyncio does not live beside Locust's gevent.
"""

import asyncio
import csv
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import asyncpg
import httpx
from redis.asyncio import Redis

from common.vote_queue import COUNTED, REJECTED, VOTES
from loadtest.audit import audit
from loadtest.connect import NOT_YET, TABLE, database, read_shown, until
from loadtest.errors import LoadTestError
from loadtest.findings import Baseline, Found, Row
from loadtest.register import read_register
from loadtest.settings import Target, limits, target

NEW_ROWS = """
SELECT voter_id, vote, extract(epoch FROM cast_at)
  FROM votes
 WHERE id > $1
 ORDER BY id
"""


@dataclass(frozen=True)
class Tables:
    """What one look at the database found."""

    recount: dict[str, int]
    tallies: dict[str, int]


def main(moment: str, folder: Path) -> None:
    """Look, and leave what was found in the run's folder."""
    began = time.monotonic()
    try:
        where = target()
        if moment == "before":
            _write(folder / "before.json", asdict(asyncio.run(_before(where))))
            return
        baseline = Baseline(**json.loads((folder / "before.json").read_text()))
        found = asyncio.run(_after(where, baseline, folder))
        report = audit(read_register(folder), baseline, found, others_vote=bool(os.environ.get("OTHERS_VOTE")))
        _write(folder / "audit.json", report.as_json() | {"seconds": round(time.monotonic() - began, 1)})
    except (LoadTestError, *NOT_YET) as error:
        sys.exit(f"the audit could not look at the system: {error or type(error).__name__}")


async def _before(where: Target) -> Baseline:
    _, settled, rejected = await _queue(where)
    shown = await _shown(where.result_url)
    last_id, table = None, None
    if where.database_url:
        async with database(where.database_url) as connection:
            last_id = await connection.fetchval("SELECT coalesce(max(id), 0) FROM votes")
            table = await connection.fetchval(TABLE)
    return Baseline(last_id=last_id, total=sum(shown.values()), settled=settled, rejected=rejected, table=table)


async def _after(where: Target, before: Baseline, folder: Path) -> Found:
    waiting, settled, rejected = await _queue(where)
    tables, rows = None, None
    if where.database_url and before.last_id is not None:
        tables, rows = await _read_tables(where.database_url, before.last_id, folder / "rows.csv")
    return Found(
        rows=rows,
        recount=tables.recount if tables else None,
        tallies=tables.tallies if tables else None,
        shown=await _shown(where.result_url, like=tables.recount if tables else None),
        waiting=waiting,
        settled=settled,
        rejected=rejected,
    )


async def _queue(where: Target) -> tuple[int | None, int | None, int | None]:
    """How many votes wait when all are counted or the deadline is over, were settled, and were rejected."""
    if not where.redis_url:
        return None, None, None
    async with Redis.from_url(where.redis_url, socket_timeout=5, socket_connect_timeout=5) as redis:

        async def waiting() -> int:
            return int(await cast(Any, redis.llen(VOTES)))

        async def is_empty() -> bool:
            return await waiting() == 0

        await until(is_empty, limits()["audit"]["drain_seconds"])
        return (
            await waiting(),
            int(await redis.get(COUNTED) or 0),
            int(await cast(Any, redis.llen(REJECTED))),
        )


async def _read_tables(url: str, last_id: int, path: Path) -> tuple[Tables, Iterator[Row]]:
    async with database(url) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        recount = await connection.fetch("SELECT vote, count(*) AS votes FROM votes GROUP BY vote")
        tallies = await connection.fetch("SELECT vote, votes FROM tallies")
        rows = await new_rows(connection, last_id, path)
    tables = Tables(
        {row["vote"]: row["votes"] for row in recount},
        {row["vote"]: row["votes"] for row in tallies},
    )
    return tables, rows


async def new_rows(connection: asyncpg.Connection, last_id: int, path: Path) -> Iterator[Row]:
    """The rows that came after this one, by way of a file: there may be millions."""
    await connection.copy_from_query(NEW_ROWS, last_id, output=path, format="csv")
    return _rows(path)


def _rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        for voter, option, cast_at in csv.reader(file):
            yield Row(voter, option, float(cast_at) if cast_at else None)


async def _shown(result_url: str, *, like: dict[str, int] | None = None) -> dict[str, int]:
    """The tally of the dashboard, by option; what it shows may be a moment old, so it gets some time to be right."""
    shown: dict[str, int] = {}
    async with httpx.AsyncClient(timeout=5, verify=False) as client:

        async def is_right() -> bool:
            now = await read_shown(client, result_url)
            shown.clear()
            shown.update(now)
            return like is None or {key: votes for key, votes in shown.items() if votes} == like

        await until(is_right, limits()["audit"]["dashboard_seconds"])
    return shown


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

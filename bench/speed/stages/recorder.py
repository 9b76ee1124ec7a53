"""Records votes that wait, or copies the same rows: a process of its own, so that it has one core to itself.

`python -m bench.speed.stages.recorder new|changed|copy DATABASE_URL REDIS_URL VOTES BATCH`, with an empty database
and an empty Redis. Prints JSON: seconds, and the processor's seconds of this process.
"""

import json
import logging
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import asyncpg
import structlog
import uvloop
from msgspec import structs
from redis.asyncio import Redis

from common.message import Vote, encode
from common.vote_queue import VOTES, VoteQueue
from worker.batch import QueueHead
from worker.count import count_batch
from worker.counter import CONNECTION_SETTINGS
from worker.schema import SCHEMA

PER_PUSH = 5000
COLUMNS = ("voter_id", "vote", "cast_at")
SEED = 7  # the same voters in every round


async def main(mode: str, database_url: str, redis_url: str, votes: int, batch: int) -> dict[str, float]:
    """Prepare, measure, check."""
    connection = await asyncpg.connect(database_url, server_settings=CONNECTION_SETTINGS)
    try:
        await connection.execute(SCHEMA.read_text(encoding="utf-8"))
        cast = make_votes(votes)
        if mode == "copy":
            await connection.execute("ALTER TABLE votes DISABLE TRIGGER USER")
            return await timed(copy_of(connection, cast))
        async with VoteQueue.open(redis_url) as queue, Redis.from_url(redis_url) as redis:
            if mode == "changed":
                await copy_of(connection, cast)()
                cast = changes(cast)
            await push(redis, cast)
            await connection.execute("CHECKPOINT")
            measured = await timed(recording(connection, queue, batch))
            await check(connection, queue, cast)
    finally:
        await connection.close()
    return measured


def make_votes(number: int) -> list[Vote]:
    """Votes of different voters, whose ids look like those of the vote service."""
    chance = random.Random(SEED)
    now = datetime.now(UTC)
    return [Vote(f"{chance.getrandbits(128):032x}", chance.choice("ab"), now) for _ in range(number)]


def changes(votes: Sequence[Vote]) -> list[Vote]:
    """Every voter votes for the other option, in an order of their own: nobody waits for those who voted before."""
    now = datetime.now(UTC)
    changed = [structs.replace(vote, option="b" if vote.option == "a" else "a", cast_at=now) for vote in votes]
    random.Random(SEED).shuffle(changed)
    return changed


async def push(redis: Redis, votes: Sequence[Vote]) -> None:
    """Let the votes wait in the queue."""
    for start in range(0, len(votes), PER_PUSH):
        await redis.rpush(VOTES, *map(encode, votes[start:][:PER_PUSH]))


def copy_of(connection: asyncpg.Connection, votes: Sequence[Vote]) -> Callable[[], Awaitable[object]]:
    """All rows in one COPY, ready to be sent."""
    rows = [(vote.voter_id, vote.option, vote.cast_at) for vote in votes]
    return lambda: connection.copy_records_to_table("votes", records=rows, columns=COLUMNS)


def recording(connection: asyncpg.Connection, queue: VoteQueue, batch: int) -> Callable[[], Awaitable[object]]:
    """The worker's own code, batch by batch until nothing waits."""

    async def record_all() -> None:
        head = QueueHead(queue, batch)
        while await count_batch(connection, queue, head):
            pass

    return record_all


async def timed(do: Callable[[], Awaitable[object]]) -> dict[str, float]:
    """Seconds by the clock, and those of our processor."""
    began, processor = time.perf_counter(), time.process_time()
    await do()
    return {"seconds": time.perf_counter() - began, "processor": time.process_time() - processor}


async def check(connection: asyncpg.Connection, queue: VoteQueue, votes: Sequence[Vote]) -> None:
    """Exit with what is wrong unless every vote was counted, once."""
    rows = {row["voter_id"]: row["vote"] for row in await connection.fetch("SELECT voter_id, vote FROM votes")}
    tallies = {row["vote"]: row["votes"] for row in await connection.fetch("SELECT vote, votes FROM tallies")}
    expected = {vote.voter_id: vote.option for vote in votes}
    options = list(expected.values())
    if rows != expected or tallies != {option: options.count(option) for option in set(options)}:
        sys.exit(f"of {len(expected)} votes not all were recorded as they were cast: tallies {tallies}")
    if waiting := await queue.waiting():
        sys.exit(f"{waiting} votes still wait")


def be_quiet() -> None:
    """No line for each batch: nobody reads a worker's debug log while it has much to do."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


if __name__ == "__main__":
    be_quiet()
    _mode, _database, _redis, _votes, _batch = sys.argv[1:]
    print(json.dumps(uvloop.run(main(_mode, _database, _redis, int(_votes), int(_batch)))))

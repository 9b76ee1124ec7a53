"""Recording waiting votes (peek, record, settle), beside one COPY of the same rows."""

import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import asyncpg
import structlog
from msgspec import structs
from redis.asyncio import Redis

from bench.settings import BenchError, whole_number
from bench.speed.place import Place
from bench.speed.stage import FIGURE, Contender, Measured, Stage
from common.message import Vote, encode
from common.settings import Settings
from common.vote_queue import VOTES, VoteQueue
from worker.batch import QueueHead
from worker.count import count_batch
from worker.counter import CONNECTION_SETTINGS
from worker.schema import SCHEMA

WAITING = 200_000
BATCH: int = Settings.model_fields["batch_size"].default
PER_PUSH = 5000
COLUMNS = ("voter_id", "vote", "cast_at")
SEED = 7  # the same voters in every round


def _recorder(mode: str) -> Contender:
    def measure(here: Place) -> Measured:
        votes = whole_number("VOTES", WAITING, least=1000)
        with here.postgres() as postgres, here.redis() as redis:
            measured = here.run(_measured(mode, postgres, redis, votes), core=here.server_core)
        return {FIGURE: votes / measured["seconds"], "Python": measured["processor"] / measured["seconds"]}

    return measure


def _stage(name: str, what: str, goal: float, mode: str) -> Stage:
    contenders = {"worker": _recorder(mode), "COPY": _recorder("copy")}
    return Stage(name, what, "one COPY of the same rows, no triggers", "votes/s", goal, "at least", contenders)


STAGES = (
    _stage("record", "waiting votes recorded: peek, record, settle", 0.55, "new"),
    _stage("record-changes", "the same, every vote a change", 0.35, "changed"),
)


async def _measured(mode: str, database_url: str, redis_url: str, votes: int) -> dict[str, float]:
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
            measured = await timed(recording(connection, queue))
            await check(connection, queue, cast)
    finally:
        await connection.close()
    return measured


def make_votes(number: int, options: str = "ab", chance: random.Random | None = None) -> list[Vote]:
    """Votes of different voters, whose ids look like those of the vote service."""
    chance = chance or random.Random(SEED)
    now = datetime.now(UTC)
    return [Vote(f"{chance.getrandbits(128):032x}", chance.choice(options), now) for _ in range(number)]


def changes(votes: Sequence[Vote]) -> list[Vote]:
    """Every voter votes for the other option, in an order of their own: nobody waits for those who voted before."""
    now = datetime.now(UTC)
    changed = [structs.replace(vote, option="b" if vote.option == "a" else "a", cast_at=now) for vote in votes]
    random.Random(SEED).shuffle(changed)
    return changed


async def push(redis: Redis, votes: Sequence[Vote]) -> None:
    """Fill the queue."""
    for start in range(0, len(votes), PER_PUSH):
        await redis.rpush(VOTES, *map(encode, votes[start:][:PER_PUSH]))


def copy_of(connection: asyncpg.Connection, votes: Sequence[Vote]) -> Callable[[], Awaitable[object]]:
    """All rows in one COPY, ready to be sent."""
    rows = [(vote.voter_id, vote.option, vote.cast_at) for vote in votes]
    return lambda: connection.copy_records_to_table("votes", records=rows, columns=COLUMNS)


def recording(connection: asyncpg.Connection, queue: VoteQueue) -> Callable[[], Awaitable[object]]:
    """The worker's own code, batch by batch until the queue is empty."""

    async def record_all() -> None:
        head = QueueHead(queue, BATCH)
        while await count_batch(connection, queue, head):
            pass

    return record_all


async def timed(do: Callable[[], Awaitable[object]]) -> dict[str, float]:
    """Seconds by the clock, and those of this process's processor."""
    began, processor = time.perf_counter(), time.process_time()
    await do()
    return {"seconds": time.perf_counter() - began, "processor": time.process_time() - processor}


async def check(connection: asyncpg.Connection, queue: VoteQueue, votes: Sequence[Vote]) -> None:
    """Raise BenchError unless every vote was counted, once."""
    rows = {row["voter_id"]: row["vote"] for row in await connection.fetch("SELECT voter_id, vote FROM votes")}
    tallies = {row["vote"]: row["votes"] for row in await connection.fetch("SELECT vote, votes FROM tallies")}
    expected = {vote.voter_id: vote.option for vote in votes}
    options = list(expected.values())
    if rows != expected or tallies != {option: options.count(option) for option in set(options)}:
        raise BenchError(f"of {len(expected)} votes not all were recorded as they were cast: tallies {tallies}")
    if waiting := await queue.waiting():
        raise BenchError(f"{waiting} votes are still in the queue")


def be_quiet() -> None:
    """No log line for each batch, as in production."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))

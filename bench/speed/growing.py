"""What recording a vote costs while something grows: stored votes, waiting votes, options."""

import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
from redis.asyncio import Redis

from bench.speed.place import Place
from bench.speed.stages.recorder import push
from bench.speed.stages.recording import BATCH
from bench.speed.stages.stored import fill_up
from common.ballot import KEYS
from common.message import Vote
from common.vote_queue import VOTES, VoteQueue
from worker.batch import QueueHead
from worker.count import count_batch
from worker.counter import CONNECTION_SETTINGS
from worker.schema import SCHEMA

Points = list[tuple[float, float]]
BATCHES = 6
STORED = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
WAITING = (1_000, 10_000, 100_000, 1_000_000)
OPTIONS = (2, 5, 10, 26)


@dataclass(frozen=True)
class Parts:
    """What a worker has."""

    connection: asyncpg.Connection
    queue: VoteQueue
    redis: Redis
    chance: random.Random

    def votes(self, number: int, options: int = 2) -> list[Vote]:
        """Votes of new voters."""
        now = datetime.now(UTC)
        keys = "".join(sorted(KEYS))[:options]
        return [Vote(f"{self.chance.getrandbits(128):032x}", self.chance.choice(keys), now) for _ in range(number)]

    async def microseconds(self, limit: int = BATCH) -> float:
        """For a vote that waits: those of the quickest batch, because others are slow for reasons of the machine."""
        quickest = float("inf")
        head = QueueHead(self.queue, limit)
        for _ in range(BATCHES):
            began = time.perf_counter()
            counted = await count_batch(self.connection, self.queue, head)
            if counted:
                quickest = min(quickest, (time.perf_counter() - began) / counted)
        return 1e6 * quickest


@asynccontextmanager
async def parts(here: Place) -> AsyncIterator[Parts]:
    """A database with our tables and an empty queue; this process on the server's core."""
    with here.postgres() as postgres, here.redis() as server:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {here.server_core})
        connection = await asyncpg.connect(postgres.url, server_settings=CONNECTION_SETTINGS)
        await connection.execute(SCHEMA.read_text(encoding="utf-8"))
        # filling takes longer than a worker may
        await connection.execute("SET statement_timeout = 0; SET idle_session_timeout = 0")
        async with VoteQueue.open(server.url) as queue, Redis.from_url(server.url) as redis:
            yield Parts(connection, queue, redis, random.Random(7))
        await connection.close()


async def stored(here: Place, most: int) -> Points:
    """By the votes that are stored."""
    points: Points = []
    async with parts(here) as worker:
        there = 0
        for number in (each for each in STORED if each <= most):
            await fill_up(worker.connection, there, number)
            there = number
            await push(worker.redis, worker.votes(BATCH * BATCHES))
            points.append((float(number), await worker.microseconds()))
    return points


async def waiting(here: Place, most: int) -> Points:
    """By the votes that wait: the first of them are recorded, in batches of a thousand, because that many there are."""
    points: Points = []
    async with parts(here) as worker:
        for number in (each for each in WAITING if each <= most):
            await worker.redis.delete(VOTES)
            await push(worker.redis, worker.votes(number))
            await worker.connection.execute("TRUNCATE votes")
            points.append((float(number), await worker.microseconds(WAITING[0])))
    return points


async def options(here: Place, most: int) -> Points:
    """By the options on the ballot."""
    points: Points = []
    async with parts(here) as worker:
        for number in (each for each in OPTIONS if each <= most):
            await worker.connection.execute("TRUNCATE votes")
            await push(worker.redis, worker.votes(BATCH * BATCHES, number))
            points.append((float(number), await worker.microseconds()))
    return points

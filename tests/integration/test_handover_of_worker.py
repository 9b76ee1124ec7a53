"""The worker is replaced while votes arrive: each is counted once, in its order, and hardly anything waits for it."""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

from asyncpg import Connection

from common.vote_queue import VoteQueue
from local import servers
from tests.fakes import message
from tests.integration.counting import tallies_are_right, until_empty, votes_in
from tests.supervisor import Supervisor, supervised
from tests.waiting import BUSY_SECONDS, eventually

HANDOVERS = 5
VOTERS = 50
STAND_BY_SECONDS = 0.5  # how often a worker that stands by asks for the lock by itself


def events(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


async def push_until(is_over: asyncio.Event, queue: VoteQueue) -> dict[str, str]:
    """Cast votes, the voters in turn; returns the last vote of each."""
    last: dict[str, str] = {}
    number = 0
    while not is_over.is_set():
        votes = {f"v{number % VOTERS}": "ab"[number // VOTERS % 2] for number in range(number, number + 3)}
        number += 3
        await queue.push([message(voter, option) for voter, option in votes.items()])
        last |= votes
    return last


def replace_again_and_again(worker: Supervisor) -> None:
    for _ in range(HANDOVERS):
        before = len(gaps(worker.log))
        worker.hand_over()
        eventually(partial(_has_more, worker.log, before), within=BUSY_SECONDS, saying="the new one counts")


def _has_more(log: Path, gaps_before: int) -> bool:
    return len(gaps(log)) > gaps_before


def gaps(log: Path) -> list[float]:
    """For how many milliseconds nobody counted, each time that a worker was handed the counting."""
    return [event["handover_ms"] for event in events(log) if "handover_ms" in event]


async def test_each_vote_is_counted_while_the_worker_is_replaced(
    tmp_path: Path, redis: servers.Server, queue: VoteQueue, database: str, connection: Connection
) -> None:
    is_over = asyncio.Event()
    with supervised(
        "worker", tmp_path / "log", purpose="metrics", REDIS_URL=redis.url, DATABASE_URL=database
    ) as worker:
        voting = asyncio.create_task(push_until(is_over, queue))
        await asyncio.to_thread(replace_again_and_again, worker)
        is_over.set()
        last = await voting
        await until_empty(queue)

    assert await votes_in(connection) == last
    assert await tallies_are_right(connection)
    assert sorted(gaps(worker.log))[HANDOVERS // 2] < 1000 * STAND_BY_SECONDS
    print(f"nobody counted for {gaps(worker.log)} ms")


async def test_a_worker_is_ready_when_it_stands_by_and_counts_when_the_other_has_stopped(
    tmp_path: Path, redis: servers.Server, queue: VoteQueue, database: str
) -> None:
    with supervised(
        "worker", tmp_path / "log", purpose="metrics", REDIS_URL=redis.url, DATABASE_URL=database
    ) as worker:
        await asyncio.to_thread(worker.hand_over)
        eventually(lambda: gaps(worker.log), within=BUSY_SECONDS)

    told = [event["event"] for event in events(worker.log) if event["event"] in STATES]
    assert told == ["counting", "standing_by", "stopping", "handed_over", "counting", "stopping", "handed_over"]
    assert await queue.waiting() == 0


STATES = {"counting", "standing_by", "stopping", "handed_over", "waiting_for_servers", "failing"}

"""A worker in this process, and what these tests look for when it has worked."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from asyncpg import Connection
from redis.asyncio import Redis

from common.tasks import end
from common.vote_queue import VoteQueue
from local import servers
from tests.waiting import eventually_async
from worker.counter import Status, count_votes

WITHIN_SECONDS = 40.0


class Worker:
    """One that runs; `status` is what it says of itself."""

    def __init__(self, task: asyncio.Task[None], status: Status) -> None:
        self.status = status
        self._task = task

    async def until(self, state: str, *, saying: str = "") -> None:
        """Until it is in this state, with these words in its problem."""

        async def there() -> bool:
            assert not self._task.done(), "the worker has ended"
            return self.status.state == state and (not saying or saying in await self.problem())

        await eventually_async(there, within=WITHIN_SECONDS, saying=f"{state} {saying}")

    async def problem(self) -> str:
        """What `/readyz` says, nothing if it is ready."""
        try:
            await self.status.check()
        except ConnectionError as error:
            return str(error)
        return ""


@asynccontextmanager
async def counting(database: str, queue: VoteQueue, *, batch_size: int = 100) -> AsyncIterator[Worker]:
    """A worker that counts; fails if it ends by itself."""
    status = Status()
    task = asyncio.create_task(count_votes(database, queue, batch_size, status))
    try:
        yield Worker(task, status)
        assert not task.done(), "the worker has ended"
    finally:
        await end(task)


async def until_empty(queue: VoteQueue) -> None:
    async def empty() -> bool:
        return await queue.waiting() == 0

    await eventually_async(empty, within=WITHIN_SECONDS, saying="every vote is off the queue")


async def votes_in(connection: Connection) -> dict[str, str]:
    return {row["voter_id"]: row["vote"] for row in await connection.fetch("SELECT voter_id, vote FROM votes")}


async def rejected_in(redis: servers.Server) -> list[dict[str, Any]]:
    async with Redis.from_url(redis.url) as client:
        answer: Any = client.lrange("votes:rejected", 0, -1)
        return [json.loads(note) for note in await answer]


async def tallies_are_right(connection: Connection) -> bool:
    """Whether they equal a recount of the same moment."""
    wrong = """
        SELECT count(*) FROM tallies AS t
          FULL JOIN (SELECT vote, count(*) AS votes FROM votes GROUP BY vote) AS r USING (vote)
         WHERE t.votes IS DISTINCT FROM r.votes
    """
    return bool(await connection.fetchval(wrong) == 0)

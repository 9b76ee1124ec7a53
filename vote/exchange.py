"""Several vote services have one limit: once a second each adds what it counted to a sum in Redis, and reads the sum.

Only those who have used up a tenth of their limit are spoken of, so that usually nothing is said at all. While Redis
can't be reached, each service goes by its own count.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from itertools import islice

from redis.asyncio import Redis
from redis.exceptions import RedisError

from common.redis_client import client
from vote.limits import WINDOW_SECONDS, Limit

EXCHANGE_SECONDS = 1.0
TIMEOUT_SECONDS = 1.5
MOST_SPOKEN_OF = 1000  # in one exchange; the others' turn comes with the next


async def exchange_counts(url: str, limits: Sequence[Limit]) -> None:
    """Exchange again and again."""
    async with client(url, TIMEOUT_SECONDS) as redis:
        while True:
            await asyncio.sleep(EXCHANGE_SECONDS)
            for limit in limits:
                with contextlib.suppress(RedisError, OSError, TimeoutError):
                    await exchange(redis, limit)


async def exchange(redis: Redis, limit: Limit) -> None:
    """Tell one limit's news, and learn the sums."""
    news = dict(islice(limit.news().items(), MOST_SPOKEN_OF))
    window = limit.window
    if not news:
        return
    async with redis.pipeline(transaction=False) as pipeline:
        for who, count in news.items():
            key = f"votes:limit:{limit.per}:{window}:{who}"
            pipeline.incrby(key, count)
            pipeline.expire(key, 2 * WINDOW_SECONDS)
        answers = await pipeline.execute()
    limit.learn(window, news, dict(zip(news, map(int, answers[::2]), strict=True)))

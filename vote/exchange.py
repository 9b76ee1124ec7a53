"""Several vote services have one limit: once a second each tells what it has counted, and reads the others' counts.

Each service writes its own count, whole, into a field of its own. So an exchange whose answer was lost is done again
and changes nothing. Only those who have used up a tenth of their limit are spoken of, so that usually nothing is said
at all. While Redis can't be reached, each service goes by its own count.
"""

import asyncio
import contextlib
import secrets
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
    service = secrets.token_hex(4)
    async with client(url, TIMEOUT_SECONDS) as redis:
        while True:
            await asyncio.sleep(EXCHANGE_SECONDS)
            for limit in limits:
                with contextlib.suppress(RedisError, OSError, TimeoutError):
                    await exchange(redis, limit, service)


async def exchange(redis: Redis, limit: Limit, service: str) -> None:
    """Tell one limit's news as this service's, and learn what the others have counted."""
    news = dict(islice(limit.news().items(), MOST_SPOKEN_OF))
    window = limit.window
    if not news:
        return
    async with redis.pipeline(transaction=False) as pipeline:
        for who, count in news.items():
            key = f"votes:limit:{limit.per}:{window}:{who}"
            pipeline.hset(key, service, str(count))
            pipeline.expire(key, 2 * WINDOW_SECONDS)
            pipeline.hgetall(key)
        answers = await pipeline.execute()
    others = (sum(int(count) for name, count in counts.items() if name.decode() != service) for counts in answers[2::3])
    limit.learn(window, news, dict(zip(news, others, strict=True)))

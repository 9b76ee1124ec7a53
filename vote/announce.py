"""Says in Redis that this vote service runs, and how the votes of the last seconds fared (common/vote_services.py)."""

import asyncio
import contextlib
from collections import deque

from redis.exceptions import RedisError

from common.ops import REQUESTS
from common.redis_client import client
from common.vote_services import LATELY_SECONDS, SPEAK_SECONDS, VoteService, name_of
from common.web import INSTANCE

TIMEOUT_SECONDS = 1.5
ROUTES = ("/", "/api/votes")

Totals = tuple[int, int, int]  # accepted, refused, unrecorded


async def announce(url: str, name: str = INSTANCE) -> None:
    """Say it again and again."""
    seen = deque([totals()], maxlen=int(LATELY_SECONDS / SPEAK_SECONDS) + 1)
    async with client(url, TIMEOUT_SECONDS) as redis:
        while True:
            lately = (now - before for now, before in zip(seen[-1], seen[0], strict=True))
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await redis.client_setname(name_of(VoteService(name, *lately)))
            await asyncio.sleep(SPEAK_SECONDS)
            seen.append(totals())


def totals() -> Totals:
    """How the votes fared since this process began, by how their requests were answered."""
    accepted = refused = unrecorded = 0
    for metric in REQUESTS.collect():
        for sample in metric.samples:
            if not sample.name.endswith("_total") or not _is_vote(sample.labels):
                continue
            status = sample.labels["status"]
            if status < "400":
                accepted += int(sample.value)
            elif status < "500":
                refused += int(sample.value)
            else:
                unrecorded += int(sample.value)
    return accepted, refused, unrecorded


def _is_vote(labels: dict[str, str]) -> bool:
    return labels["method"] == "POST" and labels["route"] in ROUTES

"""This vote service's heartbeat in Redis: that it runs, and how the votes of the last seconds fared.

`common/presence.py` reads it.
"""

import asyncio
import contextlib
from collections import deque

from redis.exceptions import RedisError

from common.health import REQUESTS
from common.presence import HEARTBEAT_SECONDS, RECENT_SECONDS, VoteService, connection_name
from common.redis_client import client
from common.web import INSTANCE

TIMEOUT_SECONDS = 1.5
ROUTES = ("/", "/api/votes")

Totals = tuple[int, int, int]  # accepted, refused, unrecorded


async def send_heartbeats(url: str, name: str = INSTANCE) -> None:
    """Report again and again."""
    seen = deque([vote_totals()], maxlen=int(RECENT_SECONDS / HEARTBEAT_SECONDS) + 1)
    async with client(url, TIMEOUT_SECONDS) as redis:
        while True:
            recent = (now - before for now, before in zip(seen[-1], seen[0], strict=True))
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await redis.client_setname(connection_name(VoteService(name, *recent)))
            await asyncio.sleep(HEARTBEAT_SECONDS)
            seen.append(vote_totals())


def vote_totals() -> Totals:
    """What became of the votes since this process started, by the status of their responses."""
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

"""How we talk to Redis: short time limits, no retries behind our back, and connections that can be ended."""

from collections.abc import Sequence
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff


def client(url: str, timeout_seconds: float, **options: Any) -> Redis:
    """A client that connects when it is first used."""
    # no retries inside the client: a push that is tried again behind our back could come after a later one
    return Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        **options,
    )


async def end_connections(redis: Redis, names: Sequence[str]) -> None:
    """End the connections of these names, as far as Redis still has them.

    A push in doubt may wait unread in its socket; read after its voter has voted again, the older vote would win.
    """
    for each in await cast(Any, redis.client_list()):
        if each.get("name") in names:
            await cast(Any, redis.client_kill_filter(_id=each["id"]))

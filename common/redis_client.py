"""How we talk to Redis: short time limits, no retries behind our back, and connections whose number has a limit.

And what it did not do: after a push it matters whether the votes may be in the queue all the same.
"""

from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.maint_notifications import MaintNotificationsConfig

# Of one client. Whoever comes when all are in use waits; redis-py's own pool would refuse it.
MOST_CONNECTIONS = 8
# Where a voter waits; then it is tried again, as a Redis that starts just now may never see what was sent before.
CONNECT_SECONDS = 0.5


class QueueUnavailable(Exception):
    """Redis did not do what was asked. After a push: the votes are in doubt, casting them again is safe."""


class NotPushed(QueueUnavailable):
    """The votes of a push are not in the queue, for certain, and will not get there."""


class QueueFull(NotPushed):
    """Redis has no memory left (`maxmemory`)."""


class QueueBroken(QueueUnavailable):
    """Redis has something else under the queue's keys: trying again does not help, somebody must mend it."""


def client(url: str, timeout_seconds: float, *, connect_seconds: float | None = None) -> Redis:
    """A client that connects when it is first used."""
    rules = _rules(timeout_seconds, connect_seconds or timeout_seconds)
    pool = BlockingConnectionPool.from_url(url, max_connections=MOST_CONNECTIONS, timeout=timeout_seconds, **rules)
    return Redis.from_pool(pool)


async def connect(url: str, timeout_seconds: float, *, connect_seconds: float) -> AbstractConnection:
    """A connection of its own."""
    connection: Any = ConnectionPool.from_url(url, **_rules(timeout_seconds, connect_seconds)).make_connection()  # type: ignore[no-untyped-call]
    try:
        await connection.connect()
    except BaseException:  # a cancellation, for one
        await connection.disconnect(nowait=True)
        raise
    return cast(AbstractConnection, connection)


async def ask(connection: AbstractConnection, *commands: tuple[Any, ...]) -> list[Any]:
    """Send commands together; returns their answers, or raises the first refusal among them.

    A connection error means that nobody knows what Redis did; after a refusal the connection is as good as before.
    """
    await connection.send_packed_command(connection.pack_commands(commands))
    answers: list[Any] = []
    for _ in commands:
        try:
            answers.append(await connection.read_response())
        except ResponseError as error:
            answers.append(error)
    for answer in answers:
        if isinstance(answer, ResponseError):
            raise answer
    return answers


def _rules(timeout_seconds: float, connect_seconds: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": connect_seconds,
        # no retries inside the client: a push that is tried again behind our back could come after a later one
        "retry": Retry(NoBackoff(), 0),
        # Redis is not told which library this is: redis-py looks that up among the installed packages, for 5 ms
        "driver_info": None,
        # with these, which no Redis of ours sends, redis-py goes on using a connection that the server has closed
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }

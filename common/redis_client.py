"""How we talk to Redis: short timeouts, no hidden retries, a bounded number of connections.

Votes are pushed on a connection of their own, because after a push it matters whether Redis has them. A push whose
answer did not come is in doubt: Redis may have done it, or may still find it in the socket. So each push leaves a mark,
its number, in the same transaction. The next connection first has Redis close the one before, and then reads the mark:
if the number is there, the votes are in the queue; if not, they never will be, and can be sent again.
"""

import asyncio
import math
import uuid
from collections.abc import Sequence
from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from common.metrics import Reachability
from common.tasks import raise_if_past

# Of one client. When all are in use, callers wait; redis-py's own pool would refuse them.
MOST_CONNECTIONS = 8
# Where a voter waits. Then it is tried again: a Redis that is just starting may never see what was sent before.
CONNECT_SECONDS = 0.5
# A voter waits for the answer to a push, and is told "not recorded" within two seconds.
PUSH_TIMEOUT_SECONDS = 1.5
FIRST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.2
MARK_SECONDS = 3600  # much longer than a push stays in doubt; after that nobody needs the mark

_Failure = (RedisError, OSError)  # OSError includes the built-in TimeoutError


class QueueUnavailable(Exception):
    """Redis did not do what was asked. After a push: the votes are in doubt, and casting them again is safe."""


class NotPushed(QueueUnavailable):
    """The votes of a push are certainly not in the queue, and never will be."""


class QueueFull(NotPushed):
    """Redis has no memory left (`maxmemory`)."""


class QueueBroken(QueueUnavailable):
    """Redis holds something else under the queue's keys: retrying does not help, somebody must fix it."""


def client(url: str, timeout_seconds: float, *, connect_seconds: float | None = None) -> Redis:
    """A client that connects when it is first used."""
    options = _options(timeout_seconds, connect_seconds or timeout_seconds)
    pool = BlockingConnectionPool.from_url(url, max_connections=MOST_CONNECTIONS, timeout=timeout_seconds, **options)
    return Redis.from_pool(pool)


async def connect(url: str, timeout_seconds: float, *, connect_seconds: float) -> AbstractConnection:
    """A single connection, outside any pool."""
    connection: Any = ConnectionPool.from_url(url, **_options(timeout_seconds, connect_seconds)).make_connection()  # type: ignore[no-untyped-call]
    try:
        await connection.connect()
    except BaseException:  # such as a cancellation
        await connection.disconnect(nowait=True)
        raise
    return cast(AbstractConnection, connection)


async def execute(connection: AbstractConnection, *commands: tuple[Any, ...]) -> list[Any]:
    """Send commands in one pipeline; returns their answers, or raises the first refusal among them.

    After a connection error nobody knows what Redis did; after a refusal the connection is as good as before.
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


def _options(timeout_seconds: float, connect_seconds: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": connect_seconds,
        # no retries inside the client: a push retried behind our back could arrive after a later one
        "retry": Retry(NoBackoff(), 0),
        # don't tell Redis which library this is: redis-py looks that up in the installed packages, which takes 5 ms
        "driver_info": None,
        # our Redis sends no such notifications, and with them enabled redis-py keeps using a connection that the server
        # has closed
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }


class PushConnection:
    """One push at a time, on one connection. What it reports of a push is certain, or it says that it does not know."""

    def __init__(self, url: str, votes: str, server: Reachability) -> None:
        self.problem = ""  # why Redis can't be pushed to, if so
        self._url = url
        self._votes = votes
        self._server = server
        name = uuid.uuid4().hex
        self._name = f"push-{name}"  # of every connection on which a push of ours may have gone out
        self._mark = f"{{{votes}}}:pushed:{name}"
        self._connection: AbstractConnection | None = None
        self._turn = asyncio.Lock()
        self._number = 0  # of the last push that went out
        self._arrived = ""  # the mark, when the connection was opened
        self._waiting = 0  # how many votes were waiting then
        self._is_unanswered = False  # the last push: Redis may still have its connection

    async def push(self, messages: Sequence[bytes], within: float) -> int:
        """Append votes, all of them or none, waiting for Redis if necessary. Returns how many are waiting now."""
        number = 0  # of the push with these votes, while it is in doubt
        deadline = asyncio.get_running_loop().time() + within
        try:
            async with asyncio.timeout_at(deadline), self._turn:
                while True:
                    await self._until_open(deadline)
                    if number and self._arrived == str(number):
                        self._server.answers()
                        return self._waiting
                    number = 0
                    raise_if_past(deadline)
                    number = self._number = self._number + 1
                    try:
                        return await self._send(messages)
                    except ResponseError as error:
                        raise _refusal(error) from error
                    except _Failure as error:
                        self._note(error)
                    await asyncio.sleep(FIRST_PAUSE_SECONDS)
        except TimeoutError as error:
            problem = f"Redis: {self.problem or f'no answer within {within:.3g} s'}"
            if number:
                self._server.is_lost()
                raise QueueUnavailable(problem) from error
            raise NotPushed(problem) from error

    async def until_open(self) -> None:
        """Return as soon as Redis can be pushed to, however long that takes."""
        async with self._turn:
            await self._until_open(math.inf)

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _until_open(self, deadline: float) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not await self._is_open():
            raise_if_past(deadline)
            try:
                await self._open()
            except _Failure as error:
                self._note(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _is_open(self) -> bool:
        connection = self._connection
        if connection is None or not connection.is_connected:
            return False
        try:
            return not await connection.can_read()  # unsolicited data can only be the end of the connection
        except _Failure:
            return False

    async def _open(self) -> None:
        await self.close()
        connection = await connect(self._url, PUSH_TIMEOUT_SECONDS, connect_seconds=CONNECT_SECONDS)
        try:
            if self._is_unanswered:
                await _kill_connections(connection, self._name)
                self._is_unanswered = False
            # refused while Redis is still loading; and a key that is not a list can't have taken the votes
            commands = (("GET", self._mark), ("LLEN", self._votes), ("CLIENT", "SETNAME", self._name))
            mark, self._waiting, _ = await execute(connection, *commands)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._arrived = _text(mark)
        self._connection = connection
        self.problem = ""

    async def _send(self, messages: Sequence[bytes]) -> int:
        connection = self._connection
        if connection is None or not connection.is_connected:  # redis-py would reconnect, bypassing the mark
            raise ConnectionError("the connection was closed")
        self._is_unanswered = True
        try:
            *_, (waiting, _) = await execute(
                connection,
                ("MULTI",),
                ("RPUSH", self._votes, *messages),
                ("SET", self._mark, self._number, "EX", MARK_SECONDS),
                ("EXEC",),
            )
        except ResponseError:
            self._is_unanswered = False
            raise
        except BaseException:  # such as a cancellation
            await self.close()
            raise
        self._is_unanswered = False
        if isinstance(waiting, ResponseError):
            raise waiting
        self._server.answers()
        return int(waiting)

    def _note(self, error: Exception) -> None:
        self.problem = str(error) or type(error).__name__
        if not isinstance(error, ResponseError):  # a Redis that refuses can be reached
            self._server.is_lost()


async def _kill_connections(connection: AbstractConnection, name: str) -> None:
    """Kill the connections with this name that Redis still has.

    A push in doubt may sit unread in its socket. Were it read after its voter has voted again, the older vote would
    win.
    """
    (clients,) = await execute(connection, ("CLIENT", "LIST"))
    for line in _text(clients).splitlines():
        client = dict(field.partition("=")[::2] for field in line.split())
        if client.get("name") == name:
            await execute(connection, ("CLIENT", "KILL", "ID", client["id"]))


def _text(answer: Any) -> str:
    return answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)


def _refusal(error: ResponseError) -> NotPushed:
    return (QueueFull if isinstance(error, OutOfMemoryError) else NotPushed)(f"Redis: {error}")

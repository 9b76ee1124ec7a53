"""How votes get into the queue, and what becomes of a push whose answer did not come.

Such a push is in doubt: Redis may have done it, or may find it in the socket yet. So each push leaves a mark, its
number, in the same transaction. The next connection first has Redis end the one before, and then reads the mark: if
the number is there, the votes are in the queue; if not, they never will be, and may be sent again.
"""

import asyncio
import math
import uuid
from collections.abc import Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from common.reachable import Reachable
from common.redis_client import CONNECT_SECONDS, NotPushed, QueueFull, QueueUnavailable, ask, connect

# A voter waits for this answer, and is told "not recorded" within two seconds.
PUSH_TIMEOUT_SECONDS = 1.5
FIRST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.2
MARK_SECONDS = 3600  # far longer than a push is in doubt; then a mark that nobody needs is gone

_Failure = (RedisError, OSError)  # the latter has the built-in TimeoutError as well


class Pushing:
    """One push at a time, on one connection. What it says of a push is the truth, or else that it does not know."""

    def __init__(self, url: str, votes: str, server: Reachable) -> None:
        self.problem = ""  # why Redis can't be pushed to, if so
        self._url = url
        self._votes = votes
        self._server = server
        name = uuid.uuid4().hex
        self._name = f"push-{name}"  # of every connection that a push of ours may have gone out on
        self._mark = f"{{{votes}}}:pushed:{name}"
        self._connection: AbstractConnection | None = None
        self._turn = asyncio.Lock()
        self._number = 0  # of the push that went out last
        self._arrived = ""  # the mark, when the connection was opened
        self._waiting = 0  # how many votes waited then
        self._is_unanswered = False  # the last push: Redis may still have its connection

    async def push(self, messages: Sequence[bytes], within: float) -> int:
        """Append votes, all of them or none, waiting for Redis if need be. Returns how many wait now."""
        number = 0  # of the push that these are in, if it is in doubt
        deadline = asyncio.get_running_loop().time() + within
        try:
            async with asyncio.timeout_at(deadline), self._turn:
                while True:
                    await self._until_open(deadline)
                    if number and self._arrived == str(number):
                        self._server.answers()
                        return self._waiting
                    number = 0
                    _check(deadline)
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
        """Return once Redis can be pushed to, however long that takes."""
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
            _check(deadline)
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
            return not await connection.can_read()  # what can be read without a question is the end
        except _Failure:
            return False

    async def _open(self) -> None:
        await self.close()
        connection = await connect(self._url, PUSH_TIMEOUT_SECONDS, connect_seconds=CONNECT_SECONDS)
        try:
            if self._is_unanswered:
                await _end_connections(connection, self._name)
                self._is_unanswered = False
            # refused while Redis still reads its file; and a list that is none can't have taken the votes
            questions = (("GET", self._mark), ("LLEN", self._votes), ("CLIENT", "SETNAME", self._name))
            mark, self._waiting, _ = await ask(connection, *questions)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._arrived = _text(mark)
        self._connection = connection
        self.problem = ""

    async def _send(self, messages: Sequence[bytes]) -> int:
        connection = self._connection
        if connection is None or not connection.is_connected:  # redis-py would connect anew, without our fence
            raise ConnectionError("the connection was closed")
        self._is_unanswered = True
        try:
            *_, (waiting, _) = await ask(
                connection,
                ("MULTI",),
                ("RPUSH", self._votes, *messages),
                ("SET", self._mark, self._number, "EX", MARK_SECONDS),
                ("EXEC",),
            )
        except ResponseError:
            self._is_unanswered = False
            raise
        except BaseException:  # a cancellation, for one
            await self.close()
            raise
        self._is_unanswered = False
        if isinstance(waiting, ResponseError):
            raise waiting
        self._server.answers()
        return int(waiting)

    def _note(self, error: Exception) -> None:
        self.problem = str(error) or type(error).__name__
        if not isinstance(error, ResponseError):  # a Redis that refuses is there
            self._server.is_lost()


async def _end_connections(connection: AbstractConnection, name: str) -> None:
    """End the connections of this name, as far as Redis still has them.

    A push in doubt may wait unread in its socket; read after its voter has voted again, the older vote would win.
    """
    (clients,) = await ask(connection, ("CLIENT", "LIST"))
    for line in _text(clients).splitlines():
        client = dict(field.partition("=")[::2] for field in line.split())
        if client.get("name") == name:
            await ask(connection, ("CLIENT", "KILL", "ID", client["id"]))


def _text(answer: Any) -> str:
    return answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)


def _refusal(error: ResponseError) -> NotPushed:
    return (QueueFull if isinstance(error, OutOfMemoryError) else NotPushed)(f"Redis: {error}")


def _check(deadline: float) -> None:
    """Raise TimeoutError after it. A timer alone is not enough.

    After a pause of the process it comes after what else is due; and before Python 3.12 `asyncio.wait_for`, which
    redis-py sends with, forgets a cancellation when what it waits for has just come.
    """
    if asyncio.get_running_loop().time() >= deadline:
        raise TimeoutError

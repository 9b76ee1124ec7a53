"""The voter roll: who may vote where each person has one vote. Each gets a code; the roll has the codes' voters.

A code makes a voter, the same one on every device, so a code is one vote, which can be changed. The roll is a set of
hashes in Redis: whoever reads it, or the database, learns no code, and can't try codes without the secret key either.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.exceptions import RedisError

from common.redis_client import CONNECT_SECONDS, NotPushed, QueueUnavailable, client
from common.tasks import end

ROLL = "votes:roll"
TIMEOUT_SECONDS = 1.5  # a voter waits for the answer
PAUSE_SECONDS = 0.05  # before a Redis that did not answer is asked again

# Crockford's Base32: no letter that looks like a digit, and no U. Twelve of them are 60 bits.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 12
_LOOK_ALIKES = str.maketrans("OIL", "011")


class VoterRoll:
    """The roll in Redis. Every method raises QueueUnavailable when Redis does not answer as it should."""

    def __init__(self, url: str) -> None:
        self._redis = client(url, TIMEOUT_SECONDS, connect_seconds=CONNECT_SECONDS)
        self._asked: list[tuple[str, asyncio.Future[bool]]] = []
        self._asking: asyncio.Task[None] | None = None
        self._problem = ""  # why the last question failed

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> "AsyncIterator[VoterRoll]":
        """The roll at an address; connects when first used, closes at the end."""
        roll = cls(url)
        try:
            yield roll
        finally:
            if roll._asking is not None:
                await end(roll._asking)
            await roll._redis.aclose()

    async def has(self, voter_id: str) -> bool:
        """Whether this voter has a code; waits for a Redis that is away.

        One question is asked for all who wait, on one connection. Raises NotPushed, because a vote that is not admitted
        does not reach the queue.
        """
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked.append((_entry(voter_id), answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_for_all())
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await answer
        except TimeoutError as error:
            raise NotPushed(self._problem or "Redis: the roll could not be asked in time") from error

    async def add(self, voter_ids: Sequence[str]) -> int:
        """Add voters; returns how many are on the roll now."""
        await self._ask(self._redis.sadd(ROLL, *map(_entry, voter_ids)))
        return int(await self._ask(self._redis.scard(ROLL)))

    async def clear(self) -> int:
        """Remove everybody; returns how many there were."""
        count = int(await self._ask(self._redis.scard(ROLL)))
        await self._ask(self._redis.delete(ROLL))
        return count

    async def _ask_for_all(self) -> None:
        try:
            while self._asked:
                # those who have given up need no answer
                asked = [(entry, answer) for entry, answer in self._asked if not answer.done()]
                self._asked = []
                await self._ask_for(asked)
        finally:
            self._asking = None

    async def _ask_for(self, asked: list[tuple[str, "asyncio.Future[bool]"]]) -> None:
        if not asked:
            return
        try:
            answers = await self._ask(self._redis.smismember(ROLL, [entry for entry, _ in asked]))
        except QueueUnavailable as error:
            self._problem = str(error)
            self._asked = asked + self._asked
            await asyncio.sleep(PAUSE_SECONDS)
            return
        self._problem = ""
        for (_, answer), is_there in zip(asked, answers, strict=True):
            if not answer.done():
                answer.set_result(bool(is_there))

    async def _ask(self, answer: Any) -> Any:
        try:
            return await answer
        except (RedisError, OSError, TimeoutError) as error:
            raise QueueUnavailable(f"Redis: {str(error) or type(error).__name__}") from error


def new_code() -> str:
    """A code that nobody can guess, in groups that are easy to type: 7Q2M-0XKV-9RTH."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(letters[start : start + 4] for start in range(0, LENGTH, 4))


def voter_of_code(secret_key: str, code: str) -> str:
    """The voter id that a code makes, however it was typed; any text makes one, and most are not on the roll."""
    typed = "".join(code.upper().split()).replace("-", "").translate(_LOOK_ALIKES)
    return hmac.new(secret_key.encode(), b"tallyho.code:" + typed.encode(errors="replace"), hashlib.sha256).hexdigest()


def _entry(voter_id: str) -> str:
    return hashlib.sha256(voter_id.encode()).hexdigest()

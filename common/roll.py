"""The roll: who may vote where one person has one vote. Each person gets a code; the roll knows the codes' voters.

A code makes a voter, the same one on every device, so that a code is one vote, which can be changed. The roll is a set
in Redis of hashes: who reads it, or the database, learns no code, and without the secret key can't try codes either.
"""

import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.exceptions import RedisError

from common.redis_client import client
from common.vote_queue import QueueUnavailable

ROLL = "votes:roll"
TIMEOUT_SECONDS = 1.5  # a voter waits for the answer

# Crockford's: no letter that looks like a digit, and no U. Twelve of them are 60 bits.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 12
_LOOK_ALIKES = str.maketrans("OIL", "011")


class Roll:
    """The roll in Redis. Every method raises QueueUnavailable when Redis does not answer as it should."""

    def __init__(self, url: str) -> None:
        self._redis = client(url, TIMEOUT_SECONDS)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> "AsyncIterator[Roll]":
        """The roll at an address; connects when first used, closes at the end."""
        roll = cls(url)
        try:
            yield roll
        finally:
            await roll._redis.aclose()

    async def has(self, voter_id: str) -> bool:
        """Whether this voter has a code."""
        return bool(await self._ask(self._redis.sismember(ROLL, _entry(voter_id))))

    async def add(self, voter_ids: Sequence[str]) -> int:
        """Enter voters; returns how many are on the roll now."""
        await self._ask(self._redis.sadd(ROLL, *map(_entry, voter_ids)))
        return int(await self._ask(self._redis.scard(ROLL)))

    async def clear(self) -> int:
        """Strike everybody; returns how many there were."""
        count = int(await self._ask(self._redis.scard(ROLL)))
        await self._ask(self._redis.delete(ROLL))
        return count

    async def _ask(self, answer: Any) -> Any:
        try:
            return await answer
        except (RedisError, OSError, TimeoutError) as error:
            raise QueueUnavailable(f"Redis: {str(error) or type(error).__name__}") from error


def new_code() -> str:
    """A code nobody can guess, in groups that can be typed: 7Q2M-0XKV-9RTH."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(letters[start : start + 4] for start in range(0, LENGTH, 4))


def voter_of_code(secret_key: str, code: str) -> str:
    """The voter id that a code makes, however it was typed; any text makes one, most of which are not on the roll."""
    typed = "".join(code.upper().split()).replace("-", "").translate(_LOOK_ALIKES)
    return hmac.new(secret_key.encode(), b"tallyho.code:" + typed.encode(errors="replace"), hashlib.sha256).hexdigest()


def _entry(voter_id: str) -> str:
    return hashlib.sha256(voter_id.encode()).hexdigest()

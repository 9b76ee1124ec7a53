"""A system that breaks its promises once in a while: votes pass from one queue to another, and not all as they came."""

import asyncio
import json
from typing import Any

from redis.asyncio import Redis

from common.vote_queue import VOTES

POLL_SECONDS = 0.002


class Saboteur:
    """Stands between the vote service's Redis and the worker's. `done` counts what it did, by its name."""

    def __init__(self, source: Redis, target: Redis, *, begin: int, every: int) -> None:
        self.passed = 0
        self.newest_cast_at = 0.0  # Unix seconds, of the last vote that passed
        self.done = {"lost": 0, "doubled": 0, "reverted": 0}
        self._oldest = b""
        self._source: Any = source
        self._target: Any = target
        self._next = begin
        self._every = every
        self._before: dict[str, bytes] = {}
        self._victims: dict[str, str] = {}  # what is done wrong to this voter's votes from now on

    async def run(self) -> None:
        """Pass votes on until cancelled."""
        while True:
            messages = await self._source.lrange(VOTES, 0, -1)
            for message in messages:
                self.passed += 1
                await self._pass_on(message)
            if messages:
                await self._source.ltrim(VOTES, len(messages), -1)
            else:
                await asyncio.sleep(POLL_SECONDS)

    async def _pass_on(self, message: bytes) -> None:
        vote = json.loads(message)
        voter, self.newest_cast_at = str(vote["voter_id"]), vote["cast_at"]
        before, self._before[voter] = self._before.get(voter), message
        if voter not in self._victims and (wrong := self._wrong(message, before)) is not None:
            self.done[wrong] += 1
            self._next += self._every
            self._victims[voter] = wrong
            if wrong == "doubled":
                await self._target.rpush(VOTES, json.dumps({**vote, "voter_id": f"double-{voter}"}))
            self._oldest = _without_number(before) if before else self._oldest
        match self._victims.get(voter):
            case "lost":
                return
            case "reverted":
                await self._target.rpush(VOTES, message, self._oldest)
            case _:
                await self._target.rpush(VOTES, message)

    def _wrong(self, message: bytes, before: bytes | None) -> str | None:
        """What to do wrong with this vote: what was not done yet, if its turn has come."""
        if self.passed < self._next:
            return None
        if before is not None and json.loads(before)["vote"] != json.loads(message)["vote"]:
            return "reverted" if not self.done["reverted"] else None
        if before is None:
            return next((wrong for wrong in ("lost", "doubled") if not self.done[wrong]), None)
        return None


def _without_number(message: bytes) -> bytes:
    """The same vote, as one that says nothing of its voter's order: the worker takes it in the queue's."""
    return json.dumps({name: value for name, value in json.loads(message).items() if name != "number"}).encode()

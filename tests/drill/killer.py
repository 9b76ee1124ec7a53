"""The killer: ends what runs with SIGKILL, at moments that the number of votes cast decides."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import asyncpg
import httpx

from tests.drill.ledger import Ledger
from tests.drill.plan import BACKEND, Kill
from tests.system import System
from tests.waiting import eventually_async

RECOVERY_SECONDS = 60.0
HASTY = 0.4  # the share of kills that come before the system has recovered from the one before
FEW_VOTES = 5

# The worker's and result's: votes are in the middle of something there.
BACKENDS = """
SELECT pid
  FROM pg_stat_activity
 WHERE application_name LIKE 'tallyho-%'
"""

NOT_YET = (httpx.HTTPError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

T = TypeVar("T")


class Killer:
    """Carries out a plan; `killed` counts the dead."""

    def __init__(self, system: System, ledger: Ledger, rng: random.Random, say: Callable[[str], None]) -> None:
        self.killed: Counter[str] = Counter()
        self._system = system
        self._ledger = ledger
        self._rng = rng
        self._say = say
        self._began = time.monotonic()

    async def carry_out(self, plan: Sequence[Kill], *, most_votes_between: int) -> None:
        """Let some votes be cast, kill, wait until the dead are back, or only begin to be, and so on."""
        for kill in plan:
            votes = self._rng.randint(0, self._rng.choice((FEW_VOTES, most_votes_between)))
            await self._let_vote(votes)
            dead = await self._kill(kill)
            await self.replaced(dead)
            if self._rng.random() >= HASTY:
                await self.all_ready()

    async def all_ready(self) -> None:
        """Wait until all services are ready."""
        async with httpx.AsyncClient(timeout=3, verify=False) as client:

            async def ready() -> bool:
                facts = self._system.facts()
                urls = [f"{url}/readyz" for url in (facts.vote_url, facts.worker_url, facts.result_url)]
                answers = await asyncio.gather(*(client.get(url) for url in urls))
                return all(answer.status_code == httpx.codes.OK for answer in answers)

            await _until(ready, "everything is ready again")

    async def replaced(self, dead: Mapping[str, int]) -> None:
        """Wait until others have taken the places of the dead."""

        async def others() -> bool:
            pids = self._system.facts().pids
            return all(pids.get(victim, process) != process for victim, process in dead.items())

        await _until(others, f"{' and '.join(dead)} started again")

    async def _kill(self, kill: Kill) -> dict[str, int]:
        dead = {victim: await self._process(victim) for victim in kill}
        for process in dead.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.killed.update(kill)
        whom = " and ".join(f"{victim} ({process})" for victim, process in dead.items())
        seconds = time.monotonic() - self._began
        self._say(f"{seconds:7.2f} s  {self._ledger.accepted:7,} votes accepted  kill -9 {whom}")
        return {victim: process for victim, process in dead.items() if victim != BACKEND}

    async def _process(self, victim: str) -> int:
        async def running() -> int | None:
            facts = self._system.facts()
            return await self._backend(facts.database_url) if victim == BACKEND else facts.pids.get(victim)

        return await _until(running, f"{victim} runs, to be killed") or 0

    async def _backend(self, database_url: str) -> int | None:
        connection = await asyncpg.connect(database_url, timeout=5, command_timeout=5)
        try:
            backends = [row["pid"] for row in await connection.fetch(BACKENDS)]
        finally:
            connection.terminate()
        return self._rng.choice(backends) if backends else None

    async def _let_vote(self, votes: int) -> None:
        goal = self._ledger.sent + votes

        async def cast() -> bool:
            self._system.facts()  # raises when the system has ended
            return self._ledger.sent >= goal

        await _until(cast, f"{votes} more votes are cast")


async def _until(condition: Callable[[], Awaitable[T]], saying: str) -> T:
    return await eventually_async(condition, within=RECOVERY_SECONDS, saying=saying, despite=NOT_YET)

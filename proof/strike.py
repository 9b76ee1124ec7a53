"""Carries out the plan of a drill, at moments that the number of votes cast decides."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import asyncpg

from proof.kill import ProcessKiller, kill, paused
from proof.ledger import Ledger, Outcome
from proof.plan import BACKEND, Blow
from proof.stage import Stage
from proof.waiting import eventually

RECOVERY_SECONDS = 60.0
HASTY = 0.4  # the share of kills that come before the system has recovered from the one before
FEW_VOTES = 5

# The worker's and result's: votes are in the middle of something there.
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'tallyho-%'"

NOT_YET = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Striker:
    """Kills and pauses; `killed` and `paused` count whom. It waits by sleeping, so it has a thread to itself."""

    def __init__(self, stage: Stage, ledger: Ledger, rng: random.Random, say: Callable[[str], None]) -> None:
        self.killed: Counter[str] = Counter()
        self.paused: Counter[str] = Counter()
        self._stage = stage
        self._processes = ProcessKiller(stage.pids, patience=RECOVERY_SECONDS)
        self._ledger = ledger
        self._rng = rng
        self._say = say
        self._began = time.monotonic()
        self._enough = threading.Event()

    def stop(self) -> None:
        """End after the blow under way."""
        self._enough.set()

    def carry_out(self, plan: Sequence[Blow], *, most_votes_between: int) -> None:
        """Let some votes be cast, strike, wait until the dead are back, or only begin to be, and so on."""
        for blow in plan:
            self._let_vote(self._rng.randint(0, self._rng.choice((FEW_VOTES, most_votes_between))))
            if self._enough.is_set():
                return
            dead = self._strike(blow)
            self._wait_for_others(dead)
            if self._rng.random() >= HASTY:
                self._stage.wait_until_ready()
        self._stage.wait_until_ready()

    def _strike(self, blow: Blow) -> Mapping[str, int]:
        """Returns the dead by name, with the numbers that they had."""
        dead = {victim: self._process(victim) for victim in blow.killed}
        hanging = [self._process(blow.paused)] if blow.paused else []
        self._tell(blow, dead)
        with ExitStack() as pause:
            for process in hanging:
                pause.enter_context(paused(process))
            time.sleep(min(blow.killed_after, blow.seconds))
            if blow.killed_after >= blow.seconds:
                pause.close()
                time.sleep(blow.killed_after - blow.seconds)
            for process in dead.values():
                kill(process)
            time.sleep(max(0.0, blow.seconds - blow.killed_after))
        self.killed.update(blow.killed)
        self.paused.update([blow.paused] if blow.paused else [])
        return dead

    def _tell(self, blow: Blow, dead: Mapping[str, int]) -> None:
        words = [f"pause {blow.paused} for {blow.seconds:.1f} s"] if blow.paused else []
        if dead:
            words.append("kill -9 " + " and ".join(f"{victim} ({process})" for victim, process in dead.items()))
        between = ", then " if blow.killed_after >= blow.seconds else ", meanwhile "
        accepted, seconds = self._ledger.outcomes[Outcome.ACCEPTED], time.monotonic() - self._began
        self._say(f"{seconds:7.2f} s  {accepted:7,} votes accepted  {between.join(words)}")

    def _wait_for_others(self, dead: Mapping[str, int]) -> None:
        """Wait until others have taken the places of the dead."""

        def others() -> bool:
            pids = self._stage.pids()
            return all(pids.get(victim, process) != process for victim, process in dead.items() if victim != BACKEND)

        eventually(others, within=RECOVERY_SECONDS, saying=f"{' and '.join(dead)} started again", despite=NOT_YET)

    def _process(self, victim: str) -> int:
        if victim != BACKEND:
            return self._processes.process(victim)

        def backend() -> int | None:
            backends = asyncio.run(_backends(self._stage.facts().database_url))
            return self._rng.choice(backends) if backends else None

        return eventually(backend, within=RECOVERY_SECONDS, saying=f"{victim} runs, to be killed", despite=NOT_YET) or 0

    def _let_vote(self, votes: int) -> None:
        goal = self._ledger.sent + votes

        def cast() -> bool:
            self._stage.facts()  # raises when the system has ended
            return self._ledger.sent >= goal or self._enough.is_set()

        eventually(cast, within=RECOVERY_SECONDS, saying=f"{votes} more votes are cast", despite=NOT_YET)


async def _backends(database_url: str) -> list[int]:
    connection = await asyncpg.connect(database_url, timeout=5, command_timeout=5)
    try:
        return [row["pid"] for row in await connection.fetch(BACKENDS)]
    finally:
        connection.terminate()

"""The faults of a drill: who is killed, who is paused and for how long; planned first, then injected."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import asyncpg

from proof.kill import ProcessKiller, kill, paused
from proof.ledger import Ledger, Outcome
from proof.system import DrillSystem
from proof.waiting import eventually

VICTIMS = ("vote", "vote-2", "worker", "result", "redis", "postgres")
BACKEND = "a postgres backend"

TWO_AT_ONCE = 0.2  # the share of kills that take another one with them
BACKEND_SHARE = 0.3  # of the kills of PostgreSQL hit one of its backends; the others do not survive that either
KILLS_FOR_A_PAUSE = 3  # but every part is paused at least once
PAUSE_SECONDS = (0.3, 3.0)
# Most pauses come with a kill: during the pause, when others wait in the middle of something, or right after it, when
# everybody is busy catching up.
WITH_A_KILL = 0.7
CATCHING_UP_SECONDS = 0.1

RECOVERY_SECONDS = 60.0
HASTY = 0.4  # the share of kills that come before the system has recovered from the last one
FEW_VOTES = 5

# The worker's and result's: those are busy with votes.
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'tallyho-%'"

NOT_YET = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@dataclass(frozen=True)
class Fault:
    """A pause, and kills so many seconds after its beginning; either may be missing."""

    killed: tuple[str, ...] = ()
    paused: str = ""
    seconds: float = 0.0
    killed_after: float = 0.0


def plan(kills: int, rng: random.Random) -> list[Fault]:
    """So many kills and the pauses: each part equally often (give or take one), in random order."""
    dead = list(_grouped(_evenly(kills, rng), rng))
    faults = []
    for hanging in _evenly(max(len(VICTIMS), kills // KILLS_FOR_A_PAUSE), rng):
        seconds = rng.uniform(*PAUSE_SECONDS)
        killed = dead.pop() if dead and rng.random() < WITH_A_KILL else ()
        moment = rng.choice((rng.uniform(0, seconds), seconds + rng.uniform(0, CATCHING_UP_SECONDS)))
        faults.append(Fault(killed, hanging, seconds, moment))
    faults += [Fault(killed) for killed in dead]
    rng.shuffle(faults)
    return faults


def _evenly(count: int, rng: random.Random) -> list[str]:
    names: list[str] = []
    while len(names) < count:
        names += rng.sample(VICTIMS, min(len(VICTIMS), count - len(names)))
    rng.shuffle(names)
    return names


def _grouped(names: list[str], rng: random.Random) -> Iterator[tuple[str, ...]]:
    while names:
        first = names.pop()
        if names and names[-1] != first and rng.random() < TWO_AT_ONCE:
            yield first, names.pop()
        elif first == "postgres" and rng.random() < BACKEND_SHARE:
            yield (BACKEND,)
        else:
            yield (first,)


class FaultInjector:
    """Kills and pauses; `killed` and `paused` count whom. It waits by sleeping, so it needs a thread of its own."""

    def __init__(self, system: DrillSystem, ledger: Ledger, rng: random.Random, say: Callable[[str], None]) -> None:
        self.killed: Counter[str] = Counter()
        self.paused: Counter[str] = Counter()
        self._system = system
        self._processes = ProcessKiller(system.pids, patience=RECOVERY_SECONDS)
        self._ledger = ledger
        self._rng = rng
        self._say = say
        self._began = time.monotonic()
        self._enough = threading.Event()

    def stop(self) -> None:
        """End after the fault under way."""
        self._enough.set()

    def carry_out(self, plan: Sequence[Fault], *, most_votes_between: int) -> None:
        """Let some votes be cast, inject a fault, wait until the dead are back or are only restarting, and so on."""
        for fault in plan:
            self._let_vote(self._rng.randint(0, self._rng.choice((FEW_VOTES, most_votes_between))))
            if self._enough.is_set():
                return
            dead = self._inject(fault)
            self._wait_for_restart(dead)
            if self._rng.random() >= HASTY:
                self._system.wait_until_ready()
        self._system.wait_until_ready()

    def _inject(self, fault: Fault) -> Mapping[str, int]:
        """Returns the process ids of the dead by name."""
        dead = {victim: self._process(victim) for victim in fault.killed}
        hanging = [self._process(fault.paused)] if fault.paused else []
        self._tell(fault, dead)
        with ExitStack() as pause:
            for process in hanging:
                pause.enter_context(paused(process))
            time.sleep(min(fault.killed_after, fault.seconds))
            if fault.killed_after >= fault.seconds:
                pause.close()
                time.sleep(fault.killed_after - fault.seconds)
            for process in dead.values():
                kill(process)
            time.sleep(max(0.0, fault.seconds - fault.killed_after))
        self.killed.update(fault.killed)
        self.paused.update([fault.paused] if fault.paused else [])
        return dead

    def _tell(self, fault: Fault, dead: Mapping[str, int]) -> None:
        words = [f"pause {fault.paused} for {fault.seconds:.1f} s"] if fault.paused else []
        if dead:
            words.append("kill -9 " + " and ".join(f"{victim} ({process})" for victim, process in dead.items()))
        between = ", then " if fault.killed_after >= fault.seconds else ", meanwhile "
        accepted, seconds = self._ledger.outcomes[Outcome.ACCEPTED], time.monotonic() - self._began
        self._say(f"{seconds:7.2f} s  {accepted:7,} votes accepted  {between.join(words)}")

    def _wait_for_restart(self, dead: Mapping[str, int]) -> None:
        """Wait until the dead have been restarted."""

        def restarted() -> bool:
            pids = self._system.pids()
            return all(pids.get(victim, process) != process for victim, process in dead.items() if victim != BACKEND)

        eventually(restarted, within=RECOVERY_SECONDS, saying=f"{' and '.join(dead)} restarted", despite=NOT_YET)

    def _process(self, victim: str) -> int:
        if victim != BACKEND:
            return self._processes.process(victim)

        def backend() -> int | None:
            backends = asyncio.run(_backends(self._system.facts().database_url))
            return self._rng.choice(backends) if backends else None

        return eventually(backend, within=RECOVERY_SECONDS, saying=f"{victim} to kill is running", despite=NOT_YET) or 0

    def _let_vote(self, votes: int) -> None:
        goal = self._ledger.sent + votes

        def cast() -> bool:
            self._system.facts()  # raises when the system has ended
            return self._ledger.sent >= goal or self._enough.is_set()

        eventually(cast, within=RECOVERY_SECONDS, saying=f"{votes} more votes are cast", despite=NOT_YET)


async def _backends(database_url: str) -> list[int]:
    connection = await asyncpg.connect(database_url, timeout=5, command_timeout=5)
    try:
        return [row["pid"] for row in await connection.fetch(BACKENDS)]
    finally:
        connection.terminate()

"""The plan of a drill: who is killed, who is paused and for how long, in which order."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

VICTIMS = ("vote", "vote-2", "worker", "result", "redis", "postgres")
BACKEND = "a postgres backend"

TWO_AT_ONCE = 0.2  # the share of kills that take another one with them
BACKEND_SHARE = 0.3  # of the kills of PostgreSQL: only one of its processes, which all others don't survive
KILLS_FOR_A_PAUSE = 3  # but everybody is paused once at least
PAUSE_SECONDS = (0.3, 3.0)
# A pause mostly comes with a kill: during it, when others wait in the middle of something, or just after its end, when
# all that has waited is caught up with, and nobody is idle.
WITH_A_KILL = 0.7
CATCHING_UP_SECONDS = 0.1


@dataclass(frozen=True)
class Blow:
    """What happens at once: a pause of so long, and kills, so many seconds after the pause has begun."""

    killed: tuple[str, ...] = ()
    paused: str = ""
    seconds: float = 0.0
    killed_after: float = 0.0


def plan(kills: int, rng: random.Random) -> list[Blow]:
    """So many kills, and the pauses: each victim equally often (give or take one), in random order."""
    dead = list(_grouped(_dealt(kills, rng), rng))
    blows = []
    for paused in _dealt(max(len(VICTIMS), kills // KILLS_FOR_A_PAUSE), rng):
        seconds = rng.uniform(*PAUSE_SECONDS)
        killed = dead.pop() if dead and rng.random() < WITH_A_KILL else ()
        moment = rng.choice((rng.uniform(0, seconds), seconds + rng.uniform(0, CATCHING_UP_SECONDS)))
        blows.append(Blow(killed, paused, seconds, moment))
    blows += [Blow(killed) for killed in dead]
    rng.shuffle(blows)
    return blows


def _dealt(count: int, rng: random.Random) -> list[str]:
    hand: list[str] = []
    while len(hand) < count:
        hand += rng.sample(VICTIMS, min(len(VICTIMS), count - len(hand)))
    rng.shuffle(hand)
    return hand


def _grouped(hand: list[str], rng: random.Random) -> Iterator[tuple[str, ...]]:
    while hand:
        first = hand.pop()
        if hand and hand[-1] != first and rng.random() < TWO_AT_ONCE:
            yield first, hand.pop()
        elif first == "postgres" and rng.random() < BACKEND_SHARE:
            yield (BACKEND,)
        else:
            yield (first,)

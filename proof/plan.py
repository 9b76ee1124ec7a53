"""The plan of a drill: who is killed, who is paused and for how long, in which order."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

VICTIMS = ("vote", "vote-2", "worker", "result", "redis", "postgres")
BACKEND = "a postgres backend"

TOGETHER = 0.2  # the share of blows that hit two at once
BACKEND_SHARE = 0.3  # of the kills of PostgreSQL: only one of its processes, which all others don't survive
PAUSE_SECONDS = (0.3, 3.0)
KILLS_FOR_A_PAUSE = 3  # but everybody is paused once at least


@dataclass(frozen=True)
class Blow:
    """What happens at once: some are killed, or one is paused for so long, or both."""

    killed: tuple[str, ...] = ()
    paused: str = ""
    seconds: float = 0.0


def plan(kills: int, rng: random.Random) -> list[Blow]:
    """So many kills, and the pauses: each victim equally often (give or take one), in random order."""
    pauses = max(len(VICTIMS), kills // KILLS_FOR_A_PAUSE)
    hand = [(victim, False) for victim in _dealt(kills, rng)] + [(victim, True) for victim in _dealt(pauses, rng)]
    rng.shuffle(hand)
    return list(_grouped(hand, rng))


def _dealt(count: int, rng: random.Random) -> list[str]:
    hand: list[str] = []
    while len(hand) < count:
        hand += rng.sample(VICTIMS, min(len(VICTIMS), count - len(hand)))
    return hand


def _grouped(hand: Sequence[tuple[str, bool]], rng: random.Random) -> Iterator[Blow]:
    left = list(hand)
    while left:
        group = [left.pop()]
        if left and rng.random() < TOGETHER:
            (first, is_pause), (other, is_other_pause) = group[0], left[-1]
            if first != other and not (is_pause and is_other_pause):
                group.append(left.pop())
        killed = [victim for victim, is_pause in group if not is_pause]
        if killed == ["postgres"] and rng.random() < BACKEND_SHARE:
            killed = [BACKEND]
        paused = next((victim for victim, is_pause in group if is_pause), "")
        yield Blow(tuple(killed), paused, rng.uniform(*PAUSE_SECONDS) if paused else 0.0)

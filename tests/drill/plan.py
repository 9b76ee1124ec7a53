"""The plan of a drill: whom to kill, in which order."""

import random
from collections.abc import Iterator

VICTIMS = ("vote", "worker", "result", "redis", "postgres")
BACKEND = "a postgres backend"

TWO_AT_ONCE = 0.2  # the share of kills that take another one with them
BACKEND_SHARE = 0.3  # of the kills of PostgreSQL: only one of its processes, which all others don't survive

Kill = tuple[str, ...]  # those that die at once


def plan(kills: int, rng: random.Random) -> list[Kill]:
    """So many kills: each victim equally often (give or take one), in random order, sometimes two at once."""
    hand: list[str] = []
    while len(hand) < kills:
        hand += rng.sample(VICTIMS, min(len(VICTIMS), kills - len(hand)))
    rng.shuffle(hand)
    return list(_grouped(hand, rng))


def _grouped(hand: list[str], rng: random.Random) -> Iterator[Kill]:
    while hand:
        first = hand.pop()
        if hand and hand[-1] != first and rng.random() < TWO_AT_ONCE:
            yield first, hand.pop()
        elif first == "postgres" and rng.random() < BACKEND_SHARE:
            yield (BACKEND,)
        else:
            yield (first,)

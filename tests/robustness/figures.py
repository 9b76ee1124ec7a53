"""How much was tried: counted where it is tried, printed at the end of the run."""

import os
from collections import Counter

# How many examples each search tries; `make fuzz EXAMPLES=300` looks longer.
EXAMPLES = int(os.environ.get("EXAMPLES") or 60)

_tried: Counter[str] = Counter()


def tried(what: str, number: int = 1) -> None:
    """Note that so many more of this were tried."""
    _tried[what] += number


def so_far() -> dict[str, int]:
    """What this process tried, for the one that prints (pytest-xdist)."""
    return dict(_tried)


def lines() -> list[str]:
    """What was tried, a line each."""
    return [f"{number:>9,} {what}" for what, number in sorted(_tried.items())]

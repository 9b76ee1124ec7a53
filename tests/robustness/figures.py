"""How much was tried: counted where it is tried, printed at the end of the run."""

import os
import random
from collections import Counter

# `make fuzz EXAMPLES=100000` looks longer: so many requests are made by the fuzz, which is quick. The searches of
# Hypothesis and schemathesis take a while for each example, and try fewer.
REQUESTS = int(os.environ.get("EXAMPLES") or 600)
EXAMPLES = min(max(REQUESTS // 10, 1), 300)
# What the fuzz tries is made from this number; `make fuzz SEED=...` tries the same again.
SEED = os.environ.get("SEED") or str(random.randrange(10**9))

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

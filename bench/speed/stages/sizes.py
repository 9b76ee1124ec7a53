"""How much is stored and waits: VOTES=200000 STORED=10000000, less on a small machine."""

import os

from bench.errors import BenchError


def size(name: str, default: int, *, least: int = 1000) -> int:
    """A number from the environment; raises BenchError."""
    text = os.environ.get(name, "").replace("_", "").replace(",", "") or str(default)
    if not text.isdecimal() or int(text) < least:
        raise BenchError(f"{name}={text}: give a whole number from {least:,} on, e.g. {name}={default}")
    return int(text)

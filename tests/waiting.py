"""Waiting for a condition with a deadline, so that no test sleeps and hopes."""

import time
from collections.abc import Callable
from typing import TypeVar

from proof.waiting import eventually, eventually_async

__all__ = ["BUSY_SECONDS", "eventually", "eventually_async", "in_time", "is_quick"]

T = TypeVar("T")

BUSY_SECONDS = 2.0  # what a machine with other things to do may add to a timer's own time


def is_quick(measure: Callable[[], float], *, within: float, tries: int = 3) -> None:
    """What `measure` does and returns the seconds of takes less than this; a busy machine may hold it up."""
    took: list[float] = []
    for _ in range(tries):
        took.append(measure())
        if took[-1] < within:
            return
    raise AssertionError(f"it took {took} s, where {within:g} s are promised")


def in_time(do: Callable[[], T], *, within: float) -> T:
    """Do it, within this time."""
    done: list[T] = []

    def measure() -> float:
        began = time.monotonic()
        done.append(do())
        return time.monotonic() - began

    is_quick(measure, within=within)
    return done[-1]

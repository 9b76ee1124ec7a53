"""The shapes of a load, as functions from the share of the time that is over to the share of the users. Pure."""

import math
from collections.abc import Callable

Profile = Callable[[float], float]


def steady(_: float) -> float:
    """All of them from the beginning on."""
    return 1.0


def ramp(time: float) -> float:
    """Evenly up to all."""
    return time


def spike(time: float) -> float:
    """Few; in the middle fifth all at once; then few again."""
    return 1.0 if 0.4 <= time < 0.6 else 0.1


def double_wave(time: float) -> float:
    """Two waves, the second as high as the first, with half of them left in between."""
    first, second = (math.exp(-(((time - peak) / 0.12) ** 2)) for peak in (0.28, 0.72))
    return max(0.1, min(1.0, first + second + 0.5 * math.exp(-(((time - 0.5) / 0.15) ** 2))))


def steps(time: float) -> float:
    """A fifth more with every fifth of the time."""
    return min(5, int(5 * time) + 1) / 5


def soak(time: float) -> float:
    """All of them for long, after a gentle beginning."""
    return min(1.0, 0.1 + time / 0.05)

"""Percentiles, and where a curve bends upward. Pure."""

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that so many percent of the values don't exceed; not a number if there are none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values)) - 1)]


def bend(points: Sequence[tuple[float, float]], tolerance: float) -> float | None:
    """From which size on the cost stays above what it was before; None if it never does.

    The points are (size, cost) in rising order. A cost counts as higher when it is more than `tolerance` times the
    least cost at any smaller size, and so are all after it: one slow point is noise.
    """
    found = None
    for at in range(len(points) - 1, 0, -1):
        least = min(cost for _, cost in points[:at])
        if points[at][1] <= tolerance * least:
            break
        found = points[at][0]
    return found

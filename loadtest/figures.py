"""Figures from histograms of response times, {milliseconds: how many}, as Locust keeps them. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

Histogram = Mapping[int, int]


def percentile(times: Histogram, share: float) -> int | None:
    """The shortest time that this share of all took at most; None when there is nothing."""
    rank = math.ceil(share * sum(times.values()))
    passed = 0
    for milliseconds in sorted(times):
        passed += times[milliseconds]
        if passed >= rank and passed:
            return milliseconds
    return None


def together(histograms: Iterable[Histogram]) -> Histogram:
    """All in one."""
    total: Counter[int] = Counter()
    for times in histograms:
        total.update(times)
    return total


def since(times: Histogram, before: Histogram) -> Histogram:
    """What came after an earlier look; a histogram that began anew meanwhile came after it as a whole."""
    if any(times.get(milliseconds, 0) < count for milliseconds, count in before.items()):
        return dict(times)
    return {
        milliseconds: count - before.get(milliseconds, 0)
        for milliseconds, count in times.items()
        if count > before.get(milliseconds, 0)
    }

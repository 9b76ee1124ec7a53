"""A histogram that takes many values at once."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

from prometheus_client import Histogram
from prometheus_client.metrics_core import Metric

MOST_NOTED = 10_000


class BulkHistogram(Histogram):
    """One without labels. `observe` takes two locks for each value; here they are taken once for many."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._noted: list[float] = []
        super().__init__(*args, **kwargs)

    def note(self, value: float) -> None:
        """The same as `observe`, put off until somebody looks, or there are many."""
        self._noted.append(value)
        if len(self._noted) >= MOST_NOTED:
            self._observe_noted()

    def observe_all(self, values: Iterable[float]) -> None:
        """The same as `observe` for each value."""
        ordered = sorted(values)
        below = 0
        for bound, bucket in zip(self._upper_bounds, self._buckets, strict=True):
            # a value that equals the bound belongs to its bucket
            until = bisect_right(ordered, bound, below)
            bucket.inc(until - below)
            below = until
        self._sum.inc(sum(ordered))

    def collect(self) -> Iterable[Metric]:
        """What was observed and noted."""
        self._observe_noted()
        return super().collect()

    def _observe_noted(self) -> None:
        noted, self._noted = self._noted, []
        if noted:
            self.observe_all(noted)

"""Metrics that several services share: a histogram for many values at once, and how often a server came back."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

from prometheus_client import Counter, Histogram
from prometheus_client.metrics_core import Metric

MOST_NOTED = 10_000

RECONNECTS = Counter("reconnects", "Times a lost server answered again.", ["server"])


class BulkHistogram(Histogram):
    """A histogram without labels. `observe` takes two locks for each value; this one takes them once for many."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._noted: list[float] = []
        super().__init__(*args, **kwargs)

    def note(self, value: float) -> None:
        """`observe`, deferred until the metrics are collected or many values have piled up."""
        self._noted.append(value)
        if len(self._noted) >= MOST_NOTED:
            self._observe_noted()

    def observe_all(self, values: Iterable[float]) -> None:
        """`observe` each value."""
        ordered = sorted(values)
        below = 0
        for bound, bucket in zip(self._upper_bounds, self._buckets, strict=True):
            # a value that equals the bound belongs to its bucket
            until = bisect_right(ordered, bound, below)
            bucket.inc(until - below)
            below = until
        self._sum.inc(sum(ordered))

    def collect(self) -> Iterable[Metric]:
        """All values, deferred ones included."""
        self._observe_noted()
        return super().collect()

    def _observe_noted(self) -> None:
        noted, self._noted = self._noted, []
        if noted:
            self.observe_all(noted)


class Reachability:
    """Whether one server can be reached, as one part of a service sees it. The first answer is not a reconnect."""

    def __init__(self, server: str) -> None:
        self._reconnects = RECONNECTS.labels(server)
        self._answered = False
        self._lost = False

    def answers(self) -> None:
        """It did what was asked."""
        if self._lost and self._answered:
            self._reconnects.inc()
        self._answered, self._lost = True, False

    def is_lost(self) -> None:
        """It did not answer."""
        self._lost = True

"""Figures from histograms of response times, {milliseconds: how many}, and whether they are within the limits. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

Histogram = Mapping[int, int]


def percentile(times: Histogram, share: float) -> int | None:
    """The shortest time within which this share was answered; None when there was nothing."""
    rank = math.ceil(share * sum(times.values()))
    passed = 0
    for milliseconds in sorted(times):
        passed += times[milliseconds]
        if passed >= rank and passed:
            return milliseconds
    return None


def together(histograms: Iterable[Histogram]) -> Histogram:
    total: Counter[int] = Counter()
    for times in histograms:
        total.update(times)
    return total


def since(times: Histogram, before: Histogram) -> Histogram:
    """What was added since an earlier look; all of it, if the histogram was reset in between."""
    if any(times.get(milliseconds, 0) < count for milliseconds, count in before.items()):
        return dict(times)
    return Counter(times) - Counter(before)


@dataclass(frozen=True)
class Measured:
    """What a run, or a part of one, measured."""

    seconds: float
    requests: int
    failures: int
    votes: int  # accepted
    vote_times: Histogram
    screen_times: Histogram

    @property
    def error_rate(self) -> float:
        return self.failures / self.requests if self.requests else 0.0

    @property
    def votes_per_second(self) -> float:
        return self.votes / self.seconds if self.seconds else 0.0

    def figures(self) -> dict[str, float | None]:
        return {
            "error_rate": self.error_rate,
            "vote_p95_ms": percentile(self.vote_times, 0.95),
            "vote_p99_ms": percentile(self.vote_times, 0.99),
            "vote_to_screen_p99_ms": percentile(self.screen_times, 0.99),
        }

    def since(self, before: "Measured") -> "Measured":
        """The part that came after an earlier look."""
        return Measured(
            seconds=self.seconds - before.seconds,
            requests=self.requests - before.requests,
            failures=self.failures - before.failures,
            votes=self.votes - before.votes,
            vote_times=since(self.vote_times, before.vote_times),
            screen_times=since(self.screen_times, before.screen_times),
        )


@dataclass(frozen=True)
class Judgement:
    """One limit, and whether it held."""

    name: str
    value: float | None
    limit: float

    @property
    def holds(self) -> bool:
        return self.value is None or self.value <= self.limit

    def in_words(self) -> str:
        value = "not measured" if self.value is None else f"{self.value:g}"
        return f"{'ok    ' if self.holds else 'BROKEN'}  {self.name:<24} {value:>12}   limit {self.limit:g}"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "holds": self.holds}


def judge(measured: Measured, limits: Mapping[str, float]) -> list[Judgement]:
    """Every limit, and whether it held."""
    figures = measured.figures()
    rounded = {name: None if value is None else round(value, 5) for name, value in figures.items()}
    return [Judgement(name, rounded[name], limit) for name, limit in limits.items()]


def broken(measured: Measured, limits: Mapping[str, float]) -> str:
    """The limits that broke, in words; empty if all held."""
    return ", ".join(f"{one.name} {one.value:g} > {one.limit:g}" for one in judge(measured, limits) if not one.holds)

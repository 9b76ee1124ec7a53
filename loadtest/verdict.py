"""The verdict: whether what was measured is good enough. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from loadtest.figures import Histogram, percentile


@dataclass(frozen=True)
class Measured:
    """What a run, or a part of it, measured."""

    seconds: float
    requests: int
    failures: int
    votes: int  # those accepted
    vote_times: Histogram
    screen_times: Histogram

    @property
    def error_rate(self) -> float:
        return self.failures / self.requests if self.requests else 0.0

    @property
    def votes_per_second(self) -> float:
        return self.votes / self.seconds if self.seconds else 0.0

    def figures(self) -> dict[str, float | None]:
        """What the limits are about, by their names."""
        return {
            "error_rate": self.error_rate,
            "vote_p95_ms": percentile(self.vote_times, 0.95),
            "vote_p99_ms": percentile(self.vote_times, 0.99),
            "vote_to_screen_p99_ms": percentile(self.screen_times, 0.99),
        }


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
    return [Judgement(name, _rounded(figures[name]), limit) for name, limit in limits.items()]


def broken(measured: Measured, limits: Mapping[str, float]) -> str:
    """The limits that broke, in words; an empty text when none did."""
    return ", ".join(f"{one.name} {one.value:g} > {one.limit:g}" for one in judge(measured, limits) if not one.holds)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)

"""What an audit looks at and what it finds, as data."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table `votes`."""

    voter: str
    option: str
    cast_at: float | None  # Unix seconds


@dataclass(frozen=True)
class Baseline:
    """What was there before the first vote of the run. None: it could not be looked at."""

    last_id: int | None = None
    total: int | None = None  # by /api/tally
    settled: int | None = None
    rejected: int | None = None
    table: str | None = None  # which table `votes` it was


@dataclass(frozen=True)
class Found:
    """What is there after the last vote was counted. None: it could not be looked at."""

    rows: Iterable[Row] | None  # of this run
    recount: Mapping[str, int] | None = None
    tallies: Mapping[str, int] | None = None
    shown: Mapping[str, int] | None = None  # by /api/tally
    waiting: int | None = None
    settled: int | None = None
    rejected: int | None = None


@dataclass
class Report:
    """What the audit found; `problems` tells in words what is wrong, `notes` what could not be checked."""

    voters: int = 0
    accepted: int = 0
    refused: int = 0
    in_doubt: int = 0
    confirmed: int = 0
    lost: int = 0
    doubled: int = 0
    reverted: int = 0
    either: int = 0  # voters who voted twice at once: either vote may be their last
    undecided: int = 0  # voters with a vote in doubt that may be their last
    undecided_voters: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        return {"ok": self.ok, **asdict(self)}

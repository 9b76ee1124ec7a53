"""What a snapshot tells for the first time, and how long that took to reach a screen."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from common import traces
from common.metrics import BulkHistogram
from result.tally import NO_HINT, Hint

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 60, 600)

RECORDED_TO_SCREEN_SECONDS = BulkHistogram(
    "recorded_to_screen_seconds",
    "Time from PostgreSQL's notification until a dashboard was sent the tally, once per dashboard.",
    buckets=BUCKETS,
)
CAST_TO_SCREEN_SECONDS = BulkHistogram(
    "cast_to_screen_seconds",
    "Time from the newest counted vote's acceptance until a dashboard was sent it, once per dashboard.",
    buckets=BUCKETS,
)


@dataclass(slots=True)
class News:
    """`hint` is what PostgreSQL told us, `cast_at` when the newest vote was cast, None if that is not known."""

    hint: Hint = NO_HINT
    cast_at: datetime | None = None
    _cast: float | None = field(default=None, init=False)  # by the same clock as the hint
    _is_traced: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.cast_at is not None:
            self._cast = time.perf_counter() - max(0.0, (datetime.now(UTC) - self.cast_at).total_seconds())

    def was_sent(self) -> None:
        """A dashboard has it now."""
        now = time.perf_counter()
        if self.hint.first_at is not None:
            RECORDED_TO_SCREEN_SECONDS.note(now - self.hint.first_at)
            if self.hint.traceparents and not self._is_traced:
                self._trace(now - self.hint.first_at)
        if self._cast is not None:
            CAST_TO_SCREEN_SECONDS.note(now - self._cast)

    def _trace(self, seconds: float) -> None:
        """A span in the trace of each vote, until the first dashboard has it."""
        self._is_traced = True
        began = time.time_ns() - int(seconds * 1e9)
        for parent in self.hint.traceparents:
            traces.end(traces.begin("show", of="result", parent=parent, start_ns=began))

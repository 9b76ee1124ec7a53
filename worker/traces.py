"""The recording of a batch in the traces of its votes.

A batch has many votes, each with its own trace. So each traced vote gets a span in its own trace, linked to the span of
the batch, which has a trace of its own. result learns of them through the notification that votes were recorded.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncpg import Connection

from common import traces
from common.message import CHANNEL, Vote

if TYPE_CHECKING:
    from opentelemetry.trace import Span

# a notification's payload must be shorter than 8,000 bytes
PER_NOTIFICATION = 7999 // (traces.TRACEPARENT_LENGTH + 1)


class BatchTrace:
    """The spans of one batch, none if tracing is off."""

    def __init__(self) -> None:
        self._batch: Span | None = None
        self._votes: list[Span] = []
        self._size = 0

    async def announce(self, connection: Connection, votes: Sequence[Vote]) -> None:
        """Begin the spans, and tell result about them when the transaction commits."""
        parents = [vote.traceparent for vote in votes if vote.traceparent]
        if not parents or not traces.is_on():
            return
        self._size = len(votes)
        self._batch = traces.begin("batch", of="worker")
        spans = [traces.begin("record", of="worker", parent=parent, linked=self._batch) for parent in parents]
        self._votes = [span for span in spans if span]
        names = [name for span in self._votes if (name := traces.traceparent(span))]
        for start in range(0, len(names), PER_NOTIFICATION):
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, ",".join(names[start:][:PER_NOTIFICATION]))

    def end(self, error: BaseException | None = None) -> None:
        """End the spans: committed, or failed with this error."""
        for span in self._votes:
            traces.end(span, error)
        traces.end(self._batch, error, {"batch.votes": self._size, "batch.traced_votes": len(self._votes)})


@contextmanager
def batch_trace() -> Iterator[BatchTrace]:
    """To be wrapped around the transaction: a vote is recorded when that is committed."""
    trace = BatchTrace()
    try:
        yield trace
    except BaseException as error:
        trace.end(error)
        raise
    trace.end()

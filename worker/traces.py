"""The recording of a batch in the traces of its votes.

A batch has many votes, each with a trace of its own. So each traced vote gets a span in its own trace, with a link to
the span of the batch, which is a trace of its own. result learns of them by the notification that votes were recorded.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncpg import Connection

from common import traces
from common.ballot import CHANNEL
from common.message import Vote

if TYPE_CHECKING:
    from opentelemetry.trace import Span

# PostgreSQL takes less than 8,000 bytes with a notification
PER_NOTIFICATION = 7999 // (traces.TRACEPARENT_LENGTH + 1)


class BatchTrace:
    """The spans of one batch, none where traces are off."""

    def __init__(self) -> None:
        self._batch: Span | None = None
        self._votes: list[Span] = []
        self._size = 0

    async def announce(self, connection: Connection, votes: Sequence[Vote]) -> None:
        """Begin the spans, and tell result of them as soon as the transaction is committed."""
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
        """End the spans: committed, or failed by this error."""
        for span in self._votes:
            traces.end(span, error)
        traces.end(self._batch, error, {"batch.votes": self._size, "batch.traced_votes": len(self._votes)})


@contextmanager
def batch_trace() -> Iterator[BatchTrace]:
    """Around the transaction, because a vote is recorded when that is committed."""
    trace = BatchTrace()
    try:
        yield trace
    except BaseException as error:
        trace.end(error)
        raise
    trace.end()

"""Peek, record, settle: a batch of votes goes from the queue to the database.

Nothing leaves the queue before it is committed. A crash at any point replays the head of the queue in its order, and
recording a vote twice changes nothing.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import asyncpg
import structlog
from asyncpg import Connection
from prometheus_client import Counter, Histogram

from common.message import Vote, encode
from common.metrics import BulkHistogram
from common.tasks import end
from common.vote_queue import Peek
from worker.batch import Batch, QueueHead, Rejected
from worker.errors import is_fault_of_the_vote
from worker.record import Written, record, record_one_by_one
from worker.traces import batch_trace

VOTES_RECORDED = Counter("votes_recorded", "Votes recorded and taken off the queue.")
VOTES_CHANGED = Counter("votes_changed", "Recorded votes that replaced their voter's earlier vote.")
VOTES_REPLAYED = Counter(
    "votes_replayed",
    "Recorded votes that were already in the table, because their batch was recorded but not settled.",
)
VOTES_OUTDATED = Counter(
    "votes_outdated",
    "Votes that did not count, because their voter already had one with a higher number.",
)
VOTES_REJECTED = Counter("votes_rejected", "Messages that could not be counted and went to votes:rejected.")
BATCH_SIZE = Histogram("batch_size", "Messages in a batch.", buckets=(1, 3, 10, 30, 100, 300, 1000, 3000, 10000))
BATCH_SECONDS = Histogram("batch_seconds", "Time from a batch's turn at the head of the queue until it was settled.")
CAST_TO_RECORDED_SECONDS = BulkHistogram(
    "cast_to_recorded_seconds",
    "Time from a vote's acceptance until it was recorded.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)

log = structlog.get_logger()


class Queue(Protocol):
    async def settle(self, peek: Peek) -> bool: ...
    async def reject(self, rejected: list[Rejected]) -> None: ...


@dataclass(frozen=True, slots=True)
class _Recorded:
    batch: Batch
    written: Written
    refused: list[Rejected]  # by the database, whose rows these would have been
    at: float = field(default_factory=time.time)

    @property
    def rejected(self) -> list[Rejected]:
        return self.batch.rejected + self.refused

    @property
    def changed(self) -> int:
        """Votes that another vote of their voter came after in this batch, and rows that had another vote."""
        return len(self.batch.votes) - self.batch.outdated - self.batch.to_record + self.written.replaced

    @property
    def outdated(self) -> int:
        """Votes that a higher number kept out, one in this batch or one in the table."""
        return self.batch.outdated + self.written.outdated

    @property
    def replayed(self) -> int:
        """Rows that had this vote already."""
        written = self.written
        return self.batch.to_record - len(self.refused) - written.new - written.replaced - written.outdated


async def count_batch(
    connection: Connection, queue: Queue, head: QueueHead, tell: Callable[[int, float], None] = lambda votes, at: None
) -> int:
    """Count the votes at the head of the queue, and tell how many, and when; returns how many messages were settled."""
    started = time.perf_counter()
    try:
        recorded = await _record(connection, head)
    except asyncpg.PostgresError as error:
        if not is_fault_of_the_vote(error):
            raise
        recorded = await _record(connection, head, one_by_one=True)
    peek = recorded.batch.peek
    if rejected := recorded.rejected:
        await queue.reject(rejected)
    if not await queue.settle(peek):
        # a reset emptied the queue meanwhile: what is there now is not what was recorded
        log.warning("settle_refused", reason="the queue was changed by somebody else")
        return 0
    if not peek.messages:
        return 0
    _measure(recorded, time.perf_counter() - started)
    tell(len(peek.messages) - len(recorded.rejected), recorded.at)
    return len(peek.messages)


async def _record(connection: Connection, head: QueueHead, *, one_by_one: bool = False) -> _Recorded:
    with batch_trace() as trace:
        async with connection.transaction():
            # Before the look at the queue: whoever empties both table and queue (`make reset`) then comes either before
            # it or after the commit, and no vote from before the reset is recorded after it.
            await connection.execute("LOCK TABLE votes IN ROW EXCLUSIVE MODE")
            batch = await head.batch()
            refused: list[tuple[Vote, str]] = []
            if one_by_one:
                votes = [vote for each in batch.rounds for vote in each]
                written, refused = await record_one_by_one(connection, votes)
            else:
                written = await _record_and_read_ahead(connection, batch, head)
            await trace.announce(connection, batch.votes)
    return _Recorded(batch, written, [(encode(vote), reason) for vote, reason in refused])


async def _record_and_read_ahead(connection: Connection, batch: Batch, head: QueueHead) -> Written:
    """While PostgreSQL writes, there is time to read; what is read is of no use when it does not write."""
    reading = asyncio.create_task(head.prefetch_behind(batch))
    try:
        written = Written()
        for columns in batch.columns:
            written += await record(connection, columns)
        await reading
    finally:
        await end(reading)
    return written


def _measure(recorded: _Recorded, seconds: float) -> None:
    messages, votes = recorded.batch.peek.messages, recorded.batch.votes
    now = datetime.now(UTC)
    ages = [(now - vote.cast_at).total_seconds() for vote in votes if vote.cast_at is not None]
    CAST_TO_RECORDED_SECONDS.observe_all([max(0.0, age) for age in ages])
    VOTES_RECORDED.inc(len(messages) - len(recorded.rejected))
    VOTES_CHANGED.inc(recorded.changed)
    VOTES_REPLAYED.inc(recorded.replayed)
    VOTES_OUTDATED.inc(recorded.outdated)
    VOTES_REJECTED.inc(len(recorded.rejected))
    BATCH_SIZE.observe(len(messages))
    BATCH_SECONDS.observe(seconds)
    for _, reason in recorded.rejected:
        log.warning("vote_rejected", reason=reason)
    log.debug(
        "batch_recorded",
        votes=len(votes),
        rejected=len(recorded.rejected),
        outdated=recorded.outdated,
        seconds=round(seconds, 4),
    )

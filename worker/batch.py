"""Batches of messages: what they mean, and prefetching the next one while PostgreSQL writes."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from common.message import MalformedVote, Vote, decode
from common.vote_queue import Peek, QueueUnavailable

Rejected = tuple[bytes, str]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Columns(NamedTuple):
    """Votes as columns of the table."""

    voter_ids: list[str]
    options: list[str]
    cast_at: list[int | None]  # microseconds since 1970
    # PostgreSQL pads shorter columns with NULL, so a column without any value is sent empty
    series: list[int | None]
    numbers: list[int | None]


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages of the queue, and what they mean; the same messages always mean the same."""

    peek: Peek
    votes: list[Vote]
    rejected: list[Rejected]
    rounds: list[list[Vote]]  # to be recorded one after the other; nearly always one
    columns: list[Columns]  # the same, as they are recorded
    outdated: int  # votes superseded by an earlier vote of the batch with a higher number

    @classmethod
    def of(cls, peek: Peek) -> "Batch":
        """Read what was peeked."""
        votes, rejected = read(peek.messages)
        rounds, outdated = fold(votes)
        return cls(peek, votes, rejected, rounds, [columns_of(each) for each in rounds], outdated)

    @property
    def to_record(self) -> int:
        """How many votes are left to record."""
        return sum(map(len, self.rounds))


def read(messages: Sequence[bytes]) -> tuple[list[Vote], list[Rejected]]:
    """The votes among the messages, in order, and the other messages, each with the reason."""
    votes: list[Vote] = []
    rejected: list[Rejected] = []
    for message in messages:
        try:
            votes.append(decode(message))
        except MalformedVote as error:
            rejected.append((message, str(error)))
    return votes, rejected


def fold(votes: Sequence[Vote]) -> tuple[list[list[Vote]], int]:
    """What is left to record, in rounds, and how many votes are superseded by an earlier one with a higher number.

    An upsert can't touch a row twice, so each voter is in a round at most once. Of a voter's votes with numbers of one
    series only the highest is left, of those without a number only the last. Where one kind follows another, the
    outcome depends on the row, so the voter's next vote goes into the next round.
    """
    last = {vote.voter_id: vote for vote in votes}
    if len(last) == len(votes):  # nobody voted twice, as is nearly always the case
        return [[last[voter_id] for voter_id in sorted(last)]] if last else [], 0
    runs: dict[str, list[Vote]] = {}
    outdated = 0
    for vote in votes:
        run = runs.get(vote.voter_id)
        if run is None:
            runs[vote.voter_id] = [vote]
        elif not _are_comparable(run[-1], vote):
            run.append(vote)
        elif (vote.number or 0) >= (run[-1].number or 0):
            run[-1] = vote
        else:
            outdated += 1
    return _rounds(runs), outdated


def _are_comparable(one: Vote, other: Vote) -> bool:
    if one.number is None or other.number is None:
        return one.number is other.number
    return one.series == other.series


def _rounds(runs: dict[str, list[Vote]]) -> list[list[Vote]]:
    """Each round is sorted by voter id: writers that lock rows in the same order don't deadlock."""
    rounds: list[list[Vote]] = []
    voters = sorted(runs)
    while voters:
        rounds.append([runs[voter_id][len(rounds)] for voter_id in voters])
        voters = [voter_id for voter_id in voters if len(runs[voter_id]) > len(rounds)]
    return rounds


def columns_of(votes: Sequence[Vote]) -> Columns:
    """The votes as columns of the table."""
    return Columns(
        [vote.voter_id for vote in votes],
        [vote.option for vote in votes],
        [_microseconds(vote.cast_at) for vote in votes],
        *_numbers(votes),
    )


def _numbers(votes: Sequence[Vote]) -> tuple[list[int | None], list[int | None]]:
    numbers = [vote.number for vote in votes]
    if not any(numbers):
        return [], []
    return [None if vote.number is None else vote.series for vote in votes], numbers


def _microseconds(cast_at: datetime | None) -> int | None:
    """Exact, as an integer: asyncpg takes three times as long to send a datetime."""
    if cast_at is None:
        return None
    since = cast_at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


class Queue(Protocol):
    async def peek(self, limit: int, *, behind: int = 0) -> Peek: ...
    async def is_at_head(self, peek: Peek) -> bool: ...


class QueueHead:
    """The head of the queue, in batches of up to `limit` messages."""

    def __init__(self, queue: Queue, limit: int) -> None:
        self._queue = queue
        self.limit = limit
        self._prefetched: Batch | None = None

    async def batch(self) -> Batch:
        """The batch at the head: the prefetched one, unless somebody has emptied the queue since."""
        prefetched, self._prefetched = self._prefetched, None
        if prefetched is not None and await self._queue.is_at_head(prefetched.peek):
            return prefetched
        return Batch.of(await self._queue.peek(self.limit))

    async def prefetch_behind(self, batch: Batch) -> None:
        """Prefetch what comes after this batch if it is full; behind any other little or nothing waits."""
        size = len(batch.peek.messages)
        if size < self.limit:
            return
        with suppress(QueueUnavailable):  # it will be read when its turn comes
            peek = await self._queue.peek(self.limit, behind=size)
            if peek.messages:
                self._prefetched = Batch.of(peek)

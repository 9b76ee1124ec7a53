"""What a batch of messages means. Pure: the same messages always mean the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from common.message import MalformedVote, Vote, decode
from common.vote_queue import Peek

Rejected = tuple[bytes, str]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Columns(NamedTuple):
    """Votes as columns of the table."""

    voter_ids: list[str]
    options: list[str]
    cast_at: list[int | None]  # microseconds since 1970
    # what is missing at a column's end is NULL, so a column without a value is not sent at all
    series: list[int | None]
    numbers: list[int | None]


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages of the queue, and what they mean."""

    peek: Peek
    votes: list[Vote]
    rejected: list[Rejected]
    rounds: list[list[Vote]]  # what is to be recorded, one after the other; nearly always one
    columns: list[Columns]  # the same, as it is recorded
    outdated: int  # votes that an earlier vote of the batch with a higher number keeps out

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
    """The votes among the messages, in their order, and those that are none, each with the reason."""
    votes: list[Vote] = []
    rejected: list[Rejected] = []
    for message in messages:
        try:
            votes.append(decode(message))
        except MalformedVote as error:
            rejected.append((message, str(error)))
    return votes, rejected


def fold(votes: Sequence[Vote]) -> tuple[list[list[Vote]], int]:
    """What is left to record, in rounds, and how many votes an earlier one with a higher number keeps out.

    An upsert can't touch a row twice, so each voter is in a round once. Votes of one voter whose numbers are of one
    series come down to one, the highest; so do those without a number, to the last. Where one kind follows another, the
    outcome depends on the row, so that voter's next vote goes into the next round.
    """
    last = {vote.voter_id: vote for vote in votes}
    if len(last) == len(votes):  # nobody voted twice, which is nearly always so
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
    """Each round in the order of the voters' ids: two writers that lock rows in the same order don't deadlock."""
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
    """A whole number, exactly: asyncpg needs three times as long to send a datetime."""
    if cast_at is None:
        return None
    since = cast_at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds

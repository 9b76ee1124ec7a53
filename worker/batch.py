"""What a batch of messages means. Pure: the same messages always mean the same."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from common.message import MalformedVote, Vote, decode
from common.vote_queue import Peek

Rejected = tuple[bytes, str]
# Voters' ids, options, and when the votes were cast, in microseconds since 1970.
Columns = tuple[list[str], list[str], list[int | None]]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages of the queue, and what they mean."""

    peek: Peek
    votes: list[Vote]
    rejected: list[Rejected]
    last_votes: list[Vote]  # what is to be recorded
    columns: Columns  # the same, as it is recorded

    @classmethod
    def of(cls, peek: Peek) -> "Batch":
        """Read what was peeked."""
        votes, rejected = read(peek.messages)
        last_votes = last_vote_per_voter(votes)
        return cls(peek, votes, rejected, last_votes, columns_of(last_votes))


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


def last_vote_per_voter(votes: Iterable[Vote]) -> list[Vote]:
    """Of each voter only its last vote, in the order of the voters' ids.

    An upsert can't touch a row twice, and two writers that lock rows in the same order don't deadlock.
    """
    last = {vote.voter_id: vote for vote in votes}
    return [last[voter_id] for voter_id in sorted(last)]


def columns_of(votes: Sequence[Vote]) -> Columns:
    """The votes as columns of the table."""
    return (
        [vote.voter_id for vote in votes],
        [vote.option for vote in votes],
        [_microseconds(vote.cast_at) for vote in votes],
    )


def _microseconds(cast_at: datetime | None) -> int | None:
    """A whole number, exactly: asyncpg needs three times as long to send a datetime."""
    if cast_at is None:
        return None
    since = cast_at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds

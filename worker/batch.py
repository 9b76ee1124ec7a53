"""What a batch of messages means. Pure: the same messages always mean the same."""

from collections.abc import Iterable, Sequence

from common.message import MalformedVote, Vote, decode

Rejected = tuple[bytes, str]


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

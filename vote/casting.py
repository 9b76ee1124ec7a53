"""Casting a vote: whichever way it came, this is what happens to it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from prometheus_client import Counter

from common import traces
from common.ballot import Ballot
from common.message import Vote, encode
from common.vote_queue import QueueUnavailable
from common.web import Refused
from vote.body import Paper
from vote.door import Door, not_accepted
from vote.voter import Voter

VOTES_CAST = Counter("votes_cast", "Accepted votes.", ["option"])


class Pusher(Protocol):
    async def push(self, message: bytes, *, is_wanted: Callable[[], bool]) -> None: ...


@dataclass(frozen=True, slots=True)
class Sender:
    """Who hands in a vote: the address that it came from, and whether its connection is still there."""

    address: str | None
    is_there: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Receipt:
    """An accepted vote."""

    option: str
    label: str
    cast_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a vote: a receipt or a refusal.

    The voter is who the browser is from now on, also when refused; None leaves it who it was.
    """

    voter: Voter | None
    receipt: Receipt | None = None
    refusal: Refused | None = None
    code: str = ""  # as it was typed


class PollingStation:
    """Where votes are cast: it knows the ballot, the door and the way to the queue."""

    def __init__(self, ballot: Ballot, door: Door, pusher: Pusher) -> None:
        self.ballot = ballot
        self._door = door
        self._pusher = pusher
        for option in ballot.options:
            VOTES_CAST.labels(option.key)  # there from the start, so that the first vote shows as a rise

    async def take_vote(self, voter: Voter, sender: Sender, read: Callable[[], Awaitable[Paper]]) -> Outcome:
        """Take the vote that `read` reads, which may raise Refused; the outcome says what became of it."""
        paper = Paper("")
        try:
            self._door.count_address(sender.address)
            paper = await read()
            voter = await self._door.admit(voter, paper.code, address=sender.address)
            number = paper.number or voter.next_number
            voter = voter.with_ballot(number)
            receipt = await self._cast(voter, paper.option, number, sender)
        except Refused as refusal:
            return Outcome(voter, refusal=refusal, code=paper.code)
        return Outcome(replace(voter, choice=receipt.option), receipt)

    async def _cast(self, voter: Voter, option: str, number: int | None, sender: Sender) -> Receipt:
        """Accept a vote; raises Refused when it is for no option, or when the queue is not known to have it."""
        label = self.ballot.label(option)
        if label is None:
            keys = ", ".join(option.key for option in self.ballot.options)
            raise Refused(400, "unknown_option", f"The ballot has no such option; it has: {keys}.")
        cast_at = datetime.now(UTC)
        try:
            with traces.pushing() as traceparent:
                message = encode(Vote(voter.id, option, cast_at, traceparent, voter.series, number))
                await self._pusher.push(message, is_wanted=sender.is_there)
        except QueueUnavailable as error:
            raise not_accepted(error) from error
        VOTES_CAST.labels(option).inc()
        return Receipt(option, label, cast_at)

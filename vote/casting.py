"""Casting a vote: whichever way it came, this is what happens to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from prometheus_client import Counter

from common import traces
from common.ballot import Ballot
from common.message import Vote, encode
from common.vote_queue import QueueUnavailable
from common.web import Refused
from vote.door import not_accepted
from vote.voter import Voter, VoterCookies, new_voter

VOTES_CAST = Counter("votes_cast", "Accepted votes.", ["option"])


class Pusher(Protocol):
    async def push(self, message: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Receipt:
    """An accepted vote."""

    voter: Voter
    option: str
    label: str
    cast_at: datetime


class PollingStation:
    """Where votes are cast: it knows the ballot, the voters' cookies and the way to the queue."""

    def __init__(self, ballot: Ballot, cookies: VoterCookies, pusher: Pusher) -> None:
        self.ballot = ballot
        self.cookies = cookies
        self._pusher = pusher
        for option in ballot.options:
            VOTES_CAST.labels(option.key)  # there from the start, so that the first vote shows as a rise

    def voter(self, cookies: Mapping[str, str]) -> Voter:
        """Who sent a request: a voter that we know, or else a new one."""
        return self.cookies.read(cookies) or new_voter()

    async def cast(self, voter: Voter, option: str) -> Receipt:
        """Accept a vote; raises Refused when it is for no option, or when the queue is not known to have it."""
        label = self.ballot.label(option)
        if label is None:
            keys = ", ".join(option.key for option in self.ballot.options)
            raise Refused(400, "unknown_option", f"The ballot has no such option; it has: {keys}.")
        cast_at = datetime.now(UTC)
        try:
            with traces.pushing() as traceparent:
                await self._pusher.push(encode(Vote(voter.id, option, cast_at, traceparent)))
        except QueueUnavailable as error:
            raise not_accepted(error) from error
        VOTES_CAST.labels(option).inc()
        return Receipt(Voter(voter.id, option), option, label, cast_at)

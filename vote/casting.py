"""Casting a vote: what happens to every vote, however it arrived."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from prometheus_client import Counter

from common import traces
from common.ballot import Ballot
from common.message import Vote, encode
from common.vote_queue import NotPushed, QueueFull, QueueUnavailable
from common.web import Refused
from vote.admission import Admission
from vote.body import Submission
from vote.voter import Voter

VOTES_CAST = Counter("votes_cast", "Accepted votes.", ["option"])

# In doubt: Redis may have the vote or not.
NOT_RECORDED = (
    503,
    "not_recorded",
    "Your vote may not have been recorded.",
    "Please vote again in a moment. That is safe: only your last vote counts.",
)
# Certain: it is not in the queue, and will not get there.
NOT_PUSHED = (503, "queue_unavailable", "Your vote was not recorded.", "Please vote again in a moment.")
QUEUE_FULL = (
    503,
    "queue_full",
    "Your vote was not recorded: there is no room for more votes until some are counted.",
    "Please vote again in a minute.",
)


class Pusher(Protocol):
    async def push(self, message: bytes, *, is_wanted: Callable[[], bool]) -> None: ...


@dataclass(frozen=True, slots=True)
class Sender:
    """Who submits a vote: the address it came from, and whether the connection is still open."""

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

    The voter is who the browser is from now on, even if refused; None leaves it unchanged.
    """

    voter: Voter | None
    receipt: Receipt | None = None
    refusal: Refused | None = None
    code: str = ""  # as it was typed


class PollingStation:
    """Where votes are cast: it knows the ballot, who is admitted, and the way to the queue."""

    def __init__(self, ballot: Ballot, admission: Admission, pusher: Pusher) -> None:
        self.ballot = ballot
        self._admission = admission
        self._pusher = pusher
        for option in ballot.options:
            VOTES_CAST.labels(option.key)  # exists from the start, so that the first vote shows as an increase

    async def take_vote(self, voter: Voter, sender: Sender, read: Callable[[], Awaitable[Submission]]) -> Outcome:
        """Take the vote that `read` reads, which may raise Refused; the outcome says what became of it."""
        submission = Submission("")
        try:
            self._admission.count_address(sender.address)
            submission = await read()
            voter = await self._admission.admit(voter, submission.code, address=sender.address)
            number = submission.number or voter.next_number
            voter = voter.with_ballot(number)
            receipt = await self._cast(voter, submission.option, number, sender)
        except Refused as refusal:
            return Outcome(voter, refusal=refusal, code=submission.code)
        except QueueUnavailable as error:
            return Outcome(voter, refusal=not_accepted(error), code=submission.code)
        return Outcome(replace(voter, choice=receipt.option), receipt)

    async def _cast(self, voter: Voter, option: str, number: int | None, sender: Sender) -> Receipt:
        """Accept a vote; raises Refused if it is for no option, QueueUnavailable unless the queue certainly has it."""
        label = self.ballot.label(option)
        if label is None:
            keys = ", ".join(option.key for option in self.ballot.options)
            raise Refused(400, "unknown_option", f"The ballot has no such option; it has: {keys}.")
        cast_at = datetime.now(UTC)
        with traces.pushing() as traceparent:
            message = encode(Vote(voter.id, option, cast_at, traceparent, voter.series, number))
            await self._pusher.push(message, is_wanted=sender.is_there)
        VOTES_CAST.labels(option).inc()
        return Receipt(option, label, cast_at)


def not_accepted(error: QueueUnavailable) -> Refused:
    """The answer to a vote that the queue does not certainly have."""
    match error:
        case QueueFull():
            return Refused(*QUEUE_FULL)
        case NotPushed():
            return Refused(*NOT_PUSHED)
        case _:
            return Refused(*NOT_RECORDED)

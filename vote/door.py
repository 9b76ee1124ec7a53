"""The door of the polling station: not too many votes a minute, and where codes are asked for, only who has one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from prometheus_client import Counter

from common.roll import voter_of_code
from common.settings import Settings
from common.vote_queue import NotPushed, QueueFull, QueueUnavailable
from common.web import Refused
from vote.limits import Limit, source_of
from vote.voter import Voter

CODES_REFUSED = Counter("codes_refused", "Votes with a code that is not on the roll.")

# Of one address: an IPv6 network of 48 bits may have these times as much; of its votes this part may have wrong codes.
NETWORK_TIMES = 10
WRONG_CODES_PART = 10

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


def not_accepted(error: QueueUnavailable) -> Refused:
    """The answer to a vote that the queue is not known to have."""
    match error:
        case QueueFull():
            return Refused(*QUEUE_FULL)
        case NotPushed():
            return Refused(*NOT_PUSHED)
        case _:
            return Refused(*NOT_RECORDED)


class Roll(Protocol):
    async def has(self, voter_id: str) -> bool: ...


class Door:
    """Lets voters in; `roll` is None where everybody may vote.

    A vote passes `count_address` before its body is read, and then `admit`, which counts the voter.
    """

    def __init__(self, settings: Settings, roll: Roll | None = None) -> None:
        self.asks_code = settings.voter_codes == "on"
        if self.asks_code and roll is None:
            raise ValueError("where codes are asked for, the door needs the roll")
        self._roll = roll
        self._secret_key = settings.secret_key
        per_address = settings.limit_per_address
        self._per_voter = Limit("voter", settings.limit_per_voter)
        self._per_address = Limit("address", per_address)
        self._per_network = Limit("network", per_address * NETWORK_TIMES)
        self._wrong_codes = Limit("code", -(-per_address // WRONG_CODES_PART))  # at least one, where there is a limit

    @property
    def limits(self) -> Sequence[Limit]:
        """Those that are in force."""
        every = (self._per_voter, self._per_address, self._per_network, self._wrong_codes)
        return [limit for limit in every if limit.most]

    def count_address(self, address: str | None) -> None:
        """Count a vote before it is read; raises Refused when it is one too many from this address."""
        source = source_of(address)
        if source is None:
            return
        self._per_address.count(source.address)
        if source.network:  # not by what was refused: one household must not use up what all of them have
            self._per_network.count(source.network)

    def count_voter(self, voter: Voter) -> None:
        """Count a vote of a voter; raises Refused when it is one too many. Whoever is admitted is counted already."""
        if not voter.is_new:  # one that nobody has seen before can't have voted too often
            self._per_voter.count(voter.id)

    async def admit(self, voter: Voter, code: str, *, address: str | None = None) -> Voter:
        """Whose vote this is: the code's voter, or the one that the cookie names; raises Refused."""
        source = source_of(address)
        if self.asks_code and code:
            if source:
                self._wrong_codes.check(source.address)
            voter = self._voter_of(code, voter)
        self.count_voter(voter)  # before the roll is asked: a voter's limit is also one on questions
        if self.asks_code and (voter.is_new or not await self._is_on_roll(voter)):
            if code and source:
                self._wrong_codes.count(source.address)
            raise self._refusal(code)
        return voter

    def _voter_of(self, code: str, voter: Voter) -> Voter:
        """The code's voter; the ballots are still this browser's."""
        voter_id = voter_of_code(self._secret_key, code)
        return voter if voter.id == voter_id else replace(voter, id=voter_id, choice=None, is_new=False)

    async def _is_on_roll(self, voter: Voter) -> bool:
        assert self._roll is not None
        try:
            return await self._roll.has(voter.id)
        except QueueUnavailable as error:
            raise Refused(*NOT_PUSHED) from error  # not even let in

    def _refusal(self, code: str) -> Refused:
        if not code:
            return Refused(
                403, "code_needed", "This poll needs a code.", "Type the code that you were given, and vote."
            )
        CODES_REFUSED.inc()
        return Refused(403, "wrong_code", "This code is not known here.", "Please look at it again, and try once more.")

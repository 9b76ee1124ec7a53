"""The door of the polling station: not too many votes a minute, and where codes are asked for, only who has one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from prometheus_client import Counter

from common.roll import voter_of_code
from common.settings import Settings
from common.vote_queue import QueueUnavailable
from common.web import Refused
from vote.limits import Limit, source_of
from vote.voter import Voter

CODES_REFUSED = Counter("codes_refused", "Votes with a code that is not on the roll.")

NOT_RECORDED = (
    503,
    "not_recorded",
    "Your vote may not have been recorded.",
    "Please vote again in a moment. That is safe: only your last vote counts.",
)


class Roll(Protocol):
    async def has(self, voter_id: str) -> bool: ...


class Door:
    """Lets voters in; `roll` is None where everybody may vote."""

    def __init__(self, settings: Settings, roll: Roll | None = None) -> None:
        self.asks_code = settings.voter_codes == "on"
        if self.asks_code and roll is None:
            raise ValueError("where codes are asked for, the door needs the roll")
        self._roll = roll
        self._secret_key = settings.secret_key
        self._per_voter = Limit("voter", settings.limit_per_voter)
        self._per_address = Limit("address", settings.limit_per_address)

    @property
    def limits(self) -> Sequence[Limit]:
        """Those that are in force."""
        return [limit for limit in (self._per_voter, self._per_address) if limit.most]

    def count_address(self, address: str | None) -> None:
        """Count a vote from this address, before it is read; raises Refused when it is one too many."""
        if source := source_of(address):
            self._per_address.count(source)

    async def admit(self, voter: Voter, code: str) -> Voter:
        """Whose vote this is: the code's voter, or the one that the cookie names; raises Refused."""
        if self.asks_code and code:
            voter = self._voter_of(code, voter)
        if not voter.is_new:  # one that nobody has seen before can't have voted too often
            self._per_voter.count(voter.id)
        if self.asks_code and not await self._is_on_roll(voter):
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
            raise Refused(*NOT_RECORDED) from error

    def _refusal(self, code: str) -> Refused:
        if not code:
            return Refused(
                403, "code_needed", "This poll needs a code.", "Type the code that you were given, and vote."
            )
        CODES_REFUSED.inc()
        return Refused(403, "wrong_code", "This code is not known here.", "Please look at it again, and try once more.")

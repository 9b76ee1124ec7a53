"""Who votes: a browser, known by a signed cookie. A forged or altered cookie makes a new voter, never someone else.

A second cookie holds what only this browser knows: its last choice, for the page to show, and the number of its last
ballot. Numbers put a voter's votes in the voter's own order, even if one vote service is slow
(docs/decisions/0040-ballots-are-numbered.md). They rise along a series, which stays with the
browser, whereas a code can make it another voter.

The cookie also names the poll in which the choice was made. In another poll, or once the tally was emptied, the ballot
no longer says that the vote is recorded.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

from itsdangerous import Signer
from werkzeug.sansio.http import parse_cookie

from common.ballot import Ballot
from common.errors import Refused
from common.vote_queue import POLL_LOOK_SECONDS, QueueUnavailable

VOTER_COOKIE = "voter_id"
BALLOT_COOKIE = "ballot"
# Browsers accept a cookie with this prefix only over HTTPS and from this very host, so no sibling domain can set one.
HOST_ONLY = "__Host-"
LONGEST = 400  # characters of a signed text
MOST_REMEMBERED = 10_000
HIGHEST_NUMBER = 2**31 - 1  # of a ballot, and of a series: PostgreSQL's INTEGER

TWO_VOTERS = (
    400,
    "two_voters",
    "This browser identifies itself as two voters at once, so this vote can't be attributed.",
    "Delete this site's cookies, reload the ballot, and vote.",
)


@dataclass(frozen=True, slots=True)
class Voter:
    """A voter, the option it was last told it voted for, and the last ballot its browser was given."""

    id: str
    choice: str | None = None
    series: int = 0
    number: int | None = None  # None: the browser keeps no count
    is_new: bool = False  # never seen before

    @property
    def next_number(self) -> int | None:
        """The number of the next ballot."""
        return None if self.number is None else min(self.number + 1, HIGHEST_NUMBER)

    def with_ballot(self, number: int | None) -> "Voter":
        """The voter, after its browser used or was given a ballot with this number."""
        return replace(self, number=max(number or 0, self.number or 0))


def new_voter() -> Voter:
    """A voter never seen before."""
    return Voter(secrets.token_hex(16), series=secrets.randbelow(HIGHEST_NUMBER), number=0, is_new=True)


class Queue(Protocol):
    async def poll(self) -> str: ...


class Poll:
    """The poll a vote belongs to: the question, its options, and the votes in the tally. `watch` must be running."""

    def __init__(self, ballot: Ballot) -> None:
        text = repr((ballot.question, ballot.options))
        self._ballot = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]
        self._votes = ""

    def name(self) -> str:
        """A name that changes with the ballot, and when the votes are dropped."""
        return f"{self._ballot}{self._votes}"

    async def watch(self, queue: Queue) -> None:
        """Check for dropped votes again and again."""
        while True:
            with suppress(QueueUnavailable):  # nothing is dropped in the meantime
                await self.look(queue)
            await asyncio.sleep(POLL_LOOK_SECONDS)

    async def look(self, queue: Queue) -> None:
        """Check once."""
        self._votes = await queue.poll()


class VoterCookies:
    """Reads and writes the two cookies. `poll` names the current poll: a choice made in another one is ignored."""

    def __init__(self, secret_key: str, poll: Callable[[], str] = lambda: "") -> None:
        self._ids = _Seal(secret_key, "tallyho.voter")
        self._ballots = _Seal(secret_key, "tallyho.ballot")
        self._sign_id = lru_cache(MOST_REMEMBERED)(self._ids.sign)  # a voter's requests come in quick succession
        self._poll = poll

    def read(self, header: str, *, secure: bool) -> Voter | None:
        """The voter of a `Cookie` header, None if we signed none of its cookies; raises Refused for two voters."""
        cookies = parse_cookie(header)
        prefix = HOST_ONLY if secure else ""
        known = {id for value in cookies.getlist(prefix + VOTER_COOKIE) if (id := self._ids.unsign(value))}
        if len(known) > 1:
            raise Refused(*TWO_VOTERS)
        if not known:
            return None
        voter = Voter(known.pop())
        # The browser's own cookie is the one with the highest number, wherever others came from.
        own = [self._with_ballot(voter, value) for value in cookies.getlist(prefix + BALLOT_COOKIE)]
        return max(own, key=lambda each: each.number or 0, default=voter)

    def headers(self, voter: Voter, *, secure: bool) -> Iterator[str]:
        """The values of `Set-Cookie`; the cookies end with the browser's session."""
        prefix, rules = (HOST_ONLY, "Secure; HttpOnly") if secure else ("", "HttpOnly")
        for name, value in self.signed(voter).items():
            yield f"{prefix}{name}={value}; {rules}; Path=/; SameSite=Lax"

    def signed(self, voter: Voter) -> dict[str, str]:
        """The cookies of a voter by name."""
        choice = f"{voter.choice}@{self._poll()}" if voter.choice else ""
        ballot = f"{voter.id}:{voter.series}:{voter.number or 0}:{choice}"
        return {VOTER_COOKIE: self._sign_id(voter.id), BALLOT_COOKIE: self._ballots.sign(ballot)}

    def _with_ballot(self, voter: Voter, value: str) -> Voter:
        """The voter with what this cookie says; another voter's, copied into this browser, is ignored."""
        owner, _, rest = (self._ballots.unsign(value) or "").partition(":")
        if owner != voter.id:
            return voter
        series, number, chosen = rest.split(":", 2)
        choice, _, poll = chosen.partition("@")
        return Voter(voter.id, choice if choice and poll == self._poll() else None, int(series), int(number))


class _Seal:
    """Signs and verifies texts, as itsdangerous' Signer does, but without deriving the key each time."""

    def __init__(self, secret_key: str, salt: str) -> None:
        self._key = Signer(secret_key, salt=salt, digest_method=hashlib.sha256).derive_key()

    def sign(self, text: str) -> str:
        """The text, a dot, and its signature."""
        signature = hmac.digest(self._key, text.encode(errors="replace"), "sha256")
        return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    def unsign(self, signed: str) -> str | None:
        """The text, None if the signature is not ours."""
        text = signed.rpartition(".")[0]
        if not 1 <= len(text) <= LONGEST:
            return None
        return text if hmac.compare_digest(self.sign(text).encode(), signed.encode(errors="replace")) else None

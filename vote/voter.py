"""Who votes: a browser, known by a signed cookie. A forged or altered one is simply a new voter, never someone else.

A second cookie holds what only this browser knows: its last choice, for the page to show, and the number of its last
ballot. Numbers put a voter's votes in the voter's own order, whichever vote service is slow to take one of them
(docs/decisions/0040-ballots-are-numbered.md). They rise along a series, which stays with the browser, while a code can
make it another voter.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from itsdangerous import Signer
from werkzeug.sansio.http import parse_cookie

from common.errors import Refused

VOTER_COOKIE = "voter_id"
BALLOT_COOKIE = "ballot"
# A browser takes a cookie of such a name only over HTTPS and from this very host: no neighbour can set one.
HOST_ONLY = "__Host-"
LONGEST = 400  # characters of what we sign
MOST_REMEMBERED = 10_000
HIGHEST_NUMBER = 2**31 - 1  # of a ballot, and of a series: PostgreSQL's INTEGER

TWO_VOTERS = (
    400,
    "two_voters",
    "This browser says that it is two voters at once, so nobody can know whose vote this is.",
    "Delete this site's cookies, open the ballot again, and vote.",
)


@dataclass(frozen=True, slots=True)
class Voter:
    """A voter, the option it was last told to have voted for, and the last ballot that its browser was given."""

    id: str
    choice: str | None = None
    series: int = 0
    number: int | None = None  # None: the browser keeps no count
    is_new: bool = False  # nobody has seen it before

    @property
    def next_number(self) -> int | None:
        """The number of a ballot that comes after all it has had."""
        return None if self.number is None else min(self.number + 1, HIGHEST_NUMBER)

    def with_ballot(self, number: int | None) -> "Voter":
        """The voter, after its browser has used or been given a ballot of this number."""
        return replace(self, number=max(number or 0, self.number or 0))


def new_voter() -> Voter:
    """A voter nobody has seen before."""
    return Voter(secrets.token_hex(16), series=secrets.randbelow(HIGHEST_NUMBER), number=0, is_new=True)


class VoterCookies:
    """Reads and writes the two cookies. `poll` names what a choice was made in: in another poll it is none."""

    def __init__(self, secret_key: str, poll: Callable[[], str] = lambda: "") -> None:
        self._ids = _Seal(secret_key, "tallyho.voter")
        self._ballots = _Seal(secret_key, "tallyho.ballot")
        self._sign_id = lru_cache(MOST_REMEMBERED)(self._ids.sign)  # a voter's requests come in a row
        self._poll = poll

    def read(self, header: str, *, secure: bool) -> Voter | None:
        """The voter of a `Cookie` header, None when it has no cookie that we signed; raises Refused for two voters."""
        cookies = parse_cookie(header)
        prefix = HOST_ONLY if secure else ""
        known = {id for value in cookies.getlist(prefix + VOTER_COOKIE) if (id := self._ids.unsign(value))}
        if len(known) > 1:
            raise Refused(*TWO_VOTERS)
        if not known:
            return None
        voter = Voter(known.pop())
        # The browser's own is the one with the highest number, wherever another came from.
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
        """The voter with what this cookie says; another voter's, copied into this browser, says nothing."""
        owner, _, rest = (self._ballots.unsign(value) or "").partition(":")
        if owner != voter.id:
            return voter
        series, number, chosen = rest.split(":", 2)
        choice, _, poll = chosen.partition("@")
        return Voter(voter.id, choice if choice and poll == self._poll() else None, int(series), int(number))


class _Seal:
    """Signs texts and knows them again, as itsdangerous' Signer does, but without deriving the key each time."""

    def __init__(self, secret_key: str, salt: str) -> None:
        self._key = Signer(secret_key, salt=salt, digest_method=hashlib.sha256).derive_key()

    def sign(self, text: str) -> str:
        """The text, a dot, and its signature."""
        signature = hmac.digest(self._key, text.encode(errors="replace"), "sha256")
        return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    def unsign(self, signed: str) -> str | None:
        """The text, None if we have not signed it."""
        text = signed.rpartition(".")[0]
        if not 1 <= len(text) <= LONGEST:
            return None
        return text if hmac.compare_digest(self.sign(text).encode(), signed.encode(errors="replace")) else None

"""Who votes: a browser, known by a signed cookie. A forged or altered one is simply a new voter, never someone else."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from itsdangerous import Signer
from werkzeug.sansio.response import Response

VOTER_COOKIE = "voter_id"
CHOICE_COOKIE = "choice"
LONGEST = 300  # characters of what we sign: a voter's id and a choice
MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Voter:
    """A voter, and the option it was last told to have voted for."""

    id: str
    choice: str | None = None
    is_new: bool = False  # nobody has seen it before


class VoterCookies:
    """Reads and writes the two cookies: who the voter is, and (for the page to show) what it voted for."""

    def __init__(self, secret_key: str) -> None:
        self._ids = _Seal(secret_key, "tallyho.voter")
        self._choices = _Seal(secret_key, "tallyho.choice")

    def read(self, cookies: Mapping[str, str]) -> Voter | None:
        """The voter of a request, None when it has no cookie that we signed."""
        voter_id = self._ids.unsign(cookies.get(VOTER_COOKIE, ""))
        if voter_id is None:
            return None
        owner, _, choice = (self._choices.unsign(cookies.get(CHOICE_COOKIE, "")) or "").partition(":")
        # somebody else's choice, copied into this browser, is not this voter's
        return Voter(voter_id, choice if owner == voter_id else None)

    def set(self, response: Response, voter: Voter, *, secure: bool) -> None:
        """Give the voter its cookies, which end with the browser's session; `secure` under HTTPS."""
        for header in self.headers(voter, secure=secure):
            response.headers.add("Set-Cookie", header)

    def headers(self, voter: Voter, *, secure: bool) -> list[str]:
        """The same as values of `Set-Cookie`."""
        rules = f"{'Secure; ' if secure else ''}HttpOnly; Path=/; SameSite=Lax"
        return [f"{name}={value}; {rules}" for name, value in self.signed(voter).items()]

    def signed(self, voter: Voter) -> dict[str, str]:
        """The cookies of a voter by name."""
        cookies = {VOTER_COOKIE: self._ids.sign(voter.id)}
        if voter.choice is not None:
            cookies[CHOICE_COOKIE] = self._choices.sign(f"{voter.id}:{voter.choice}")
        return cookies


def new_voter() -> Voter:
    """A voter nobody has seen before."""
    return Voter(secrets.token_hex(16), is_new=True)


class _Seal:
    """Signs texts and knows them again; what it has signed lately it remembers, as a voter's requests come in a row."""

    def __init__(self, secret_key: str, salt: str) -> None:
        self._signer = Signer(secret_key, salt=salt, digest_method=hashlib.sha256)
        self.sign = lru_cache(MOST_REMEMBERED)(self._sign)

    def unsign(self, signed: str) -> str | None:
        """The text, None if we have not signed it."""
        text = signed.rpartition(".")[0]
        if not 1 <= len(text) <= LONGEST:
            return None
        return text if hmac.compare_digest(self.sign(text).encode(), signed.encode(errors="replace")) else None

    def _sign(self, text: str) -> str:
        return self._signer.sign(text.encode(errors="replace")).decode()

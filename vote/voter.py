"""Who votes: a browser, known by a signed cookie. A forged or altered one is simply a new voter, never someone else."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from itsdangerous import BadSignature, Signer
from werkzeug.sansio.response import Response

VOTER_COOKIE = "voter_id"
CHOICE_COOKIE = "choice"


@dataclass(frozen=True, slots=True)
class Voter:
    """A voter, and the option it was last told to have voted for."""

    id: str
    choice: str | None = None
    is_new: bool = False  # nobody has seen it before


class VoterCookies:
    """Reads and writes the two cookies: who the voter is, and (for the page to show) what it voted for."""

    def __init__(self, secret_key: str) -> None:
        self._ids = Signer(secret_key, salt="tallyho.voter", digest_method=hashlib.sha256)
        self._choices = Signer(secret_key, salt="tallyho.choice", digest_method=hashlib.sha256)

    def read(self, cookies: Mapping[str, str]) -> Voter | None:
        """The voter of a request, None when it has no cookie that we signed."""
        voter_id = _unsign(self._ids, cookies.get(VOTER_COOKIE, ""))
        if voter_id is None:
            return None
        owner, _, choice = (_unsign(self._choices, cookies.get(CHOICE_COOKIE, "")) or "").partition(":")
        # somebody else's choice, copied into this browser, is not this voter's
        return Voter(voter_id, choice if owner == voter_id else None)

    def set(self, response: Response, voter: Voter, *, secure: bool) -> None:
        """Give the voter its cookies, which end with the browser's session; `secure` under HTTPS."""
        cookies = {VOTER_COOKIE: self._ids.sign(voter.id)}
        if voter.choice is not None:
            cookies[CHOICE_COOKIE] = self._choices.sign(f"{voter.id}:{voter.choice}")
        for name, value in cookies.items():
            response.set_cookie(name, value.decode(), httponly=True, samesite="Lax", secure=secure)


def new_voter() -> Voter:
    """A voter nobody has seen before."""
    return Voter(secrets.token_hex(16), is_new=True)


def _unsign(signer: Signer, value: str) -> str | None:
    try:
        return signer.unsign(value).decode()
    except (BadSignature, UnicodeError):
        return None

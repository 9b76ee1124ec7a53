"""The answers to accepted votes as they go onto the wire, without Quart's responses."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from werkzeug.utils import redirect

from common.web import HEADERS, HSTS, rfc3339
from vote.body import FORM, JSON, Paper, paper_of_form, paper_of_json
from vote.casting import Receipt
from vote.voter import Voter, VoterCookies

Fields = list[tuple[bytes, bytes]]

HTML = (b"content-type", b"text/html; charset=utf-8")
SEE_OTHER = redirect("/", 303).get_data()


@dataclass(frozen=True, slots=True)
class Way:
    """A way to cast a vote, and how it is answered."""

    path: str
    content_type: bytes
    read: Callable[[bytes], Paper]
    status: int
    answer: Callable[[Receipt], tuple[Fields, bytes]]


def _by_form(receipt: Receipt) -> tuple[Fields, bytes]:
    return [HTML, (b"location", b"/"), (b"x-cast-at", rfc3339(receipt.cast_at).encode())], SEE_OTHER


def _by_api(receipt: Receipt) -> tuple[Fields, bytes]:
    body = {"vote": receipt.option, "label": receipt.label, "cast_at": rfc3339(receipt.cast_at)}
    return [(b"content-type", b"application/json")], json.dumps(body, separators=(",", ":")).encode() + b"\n"


WAYS = (
    Way("/", FORM.encode(), paper_of_form, 303, _by_form),
    Way("/api/votes", JSON.encode(), paper_of_json, 202, _by_api),
)


class CommonFields:
    """The headers of every answer to a voter: its cookies, and those that make it secure."""

    def __init__(self, cookies: VoterCookies) -> None:
        self._cookies = cookies
        self._fixed = {"http": _encoded(HEADERS), "https": _encoded(HEADERS | HSTS)}

    def of(self, voter: Voter, scheme: str, length: int) -> Fields:
        """For an answer with a body of this length."""
        cookies = self._cookies.headers(voter, secure=scheme == "https")
        own = [(b"set-cookie", cookie.encode()) for cookie in cookies]
        return [*self._fixed[scheme], *own, (b"content-length", str(length).encode())]


def _encoded(headers: dict[str, str]) -> Fields:
    every = {**headers, "Cache-Control": "no-store"}
    return [(name.lower().encode(), value.encode()) for name, value in every.items()]

"""The bodies of votes, read strictly: what is not exactly one vote is refused with the reason."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from quart import Request

from common.web import Refused

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Paper:
    """What a voter hands in: an option's key, and a code where one is asked for."""

    option: str
    code: str


async def read_body(request: Request, content_type: str) -> bytes:
    """The body of a request of this content type; raises Refused, or Quart's error for a body that is too large."""
    if request.mimetype != content_type:
        raise Refused(415, "unsupported_type", f"The content type must be {content_type}.")
    body: bytes = await request.get_data(as_text=False)  # type: ignore[assignment]  # Quart's stubs forget the flag
    return body


def paper_of_form(body: bytes) -> Paper:
    """The fields `vote` and `code` of a form; raises Refused."""
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise Refused(400, "malformed_form", "The form can't be read.") from None
    return _paper(fields)


def paper_of_json(body: bytes) -> Paper:
    """The fields `vote` and `code` of a JSON object; raises Refused."""
    try:
        fields = json.loads(body, object_pairs_hook=_Fields)
    except (ValueError, RecursionError):
        raise Refused(400, "malformed_json", 'The body is not JSON; expected is {"vote": "a"}.') from None
    if not isinstance(fields, _Fields):
        raise Refused(400, "malformed_json", 'The body is not a JSON object; expected is {"vote": "a"}.')
    return _paper(fields)


def _paper(fields: list[tuple[str, Any]]) -> Paper:
    option = _only_vote([value for name, value in fields if name == "vote"])
    codes = [value for name, value in fields if name == "code"]
    if not all(isinstance(code, str) for code in codes):
        raise Refused(400, "malformed_code", "The field code is not text.")
    return Paper(option, codes[0] if len(codes) == 1 and isinstance(codes[0], str) else "")


def _only_vote(values: list[Any]) -> str:
    if not values:
        raise Refused(400, "missing_field", "The field vote is missing.")
    if len(values) > 1:
        raise Refused(400, "duplicate_field", "The field vote is there more than once.")
    if not isinstance(values[0], str):
        raise Refused(400, "unknown_option", "The field vote is not an option's key.")
    return values[0]


class _Fields(list[tuple[str, Any]]):
    """A JSON object as it was written, repeated names and all."""

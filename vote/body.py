"""Parses the bodies of votes strictly: anything but exactly one vote is refused, with the reason."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from common.web import Refused
from vote.voter import HIGHEST_NUMBER

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Submission:
    """What a voter submits: an option's key, a code where one is required, and the ballot's number, if it has one."""

    option: str
    code: str = ""
    number: int | None = None


ReadBody = Callable[[bytes], Submission]


def read_form(body: bytes) -> Submission:
    """The fields `vote`, `code` and `number` of a form; raises Refused."""
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise Refused(400, "malformed_form", "The form can't be read.") from None
    # a form has only strings; one that is not a number is refused below
    return _submission([(name, _whole(value) if name == "number" else value) for name, value in fields])


def read_json(body: bytes) -> Submission:
    """The fields `vote`, `code` and `number` of a JSON object; raises Refused."""
    try:
        fields = json.loads(body, object_pairs_hook=_Fields)
    except (ValueError, RecursionError):
        raise Refused(400, "malformed_json", 'The body is not JSON; expected {"vote": "a"}.') from None
    if not isinstance(fields, _Fields):
        raise Refused(400, "malformed_json", 'The body is not a JSON object; expected {"vote": "a"}.')
    return _submission(fields)


def _submission(fields: list[tuple[str, Any]]) -> Submission:
    option = _only_vote([value for name, value in fields if name == "vote"])
    codes = [value for name, value in fields if name == "code"]
    if not all(isinstance(code, str) for code in codes):
        raise Refused(400, "malformed_code", "The field code is not text.")
    number = _only_number([value for name, value in fields if name == "number"])
    return Submission(option, codes[0] if len(codes) == 1 else "", number)


def _only_vote(values: list[Any]) -> str:
    if not values:
        raise Refused(400, "missing_field", "The field vote is missing.")
    if len(values) > 1:
        raise Refused(400, "duplicate_field", "The field vote appears more than once.")
    if not isinstance(values[0], str):
        raise Refused(400, "unknown_option", "The field vote is not an option's key.")
    return values[0]


def _only_number(values: list[Any]) -> int | None:
    if not values or values == [None]:
        return None
    if len(values) > 1:
        raise Refused(400, "duplicate_field", "The field number appears more than once.")
    if type(values[0]) is not int or not 1 <= values[0] <= HIGHEST_NUMBER:
        raise Refused(400, "malformed_number", f"The field number is not a whole number from 1 to {HIGHEST_NUMBER}.")
    return values[0]


def _whole(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(HIGHEST_NUMBER)) else text


class _Fields(list[tuple[str, Any]]):
    """A JSON object as written, with repeated names."""

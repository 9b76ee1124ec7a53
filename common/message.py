"""The messages between the services: votes in the queue, notes of rejected ones, and PostgreSQL's notification.

A vote is a JSON object. The ancestor application's messages have only `voter_id` and `vote`; they are votes as well.
Unknown fields are ignored.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from common.ballot import KEYS

# PostgreSQL notifies this channel whenever the tallies change (db/schema.sql).
CHANNEL = "tallies"

MAX_VOTER_ID = 255  # characters: the width of votes.voter_id
MAX_NUMBER = 2**31 - 1  # PostgreSQL's INTEGER

# Other programs may write messages of any length to Redis. At most this much of one is inspected, and kept when it is
# rejected: more than a vote service ever writes.
MESSAGE_BYTES = 4096
REASON_CHARACTERS = 500
NOTE_BYTES = 32_768  # an upper bound for a note with both, as JSON


class MalformedVote(Exception):
    """A message that is not a vote; the text says why."""


class Vote(msgspec.Struct, frozen=True):  # four times as fast to create as a frozen dataclass
    """One vote. Of a voter's two votes with numbers of one series, the higher number counts, whatever their order in
    the queue; otherwise the later one in the queue does."""

    voter_id: str
    option: str
    cast_at: datetime | None
    traceparent: str | None = None  # of the span that pushed it, if traced (common/traces.py)
    series: int = 0  # means nothing without a number
    number: int | None = None


def encode(vote: Vote) -> bytes:
    """The message of a vote."""
    message: dict[str, object] = {"voter_id": vote.voter_id, "vote": vote.option}
    if vote.cast_at is not None:
        message["cast_at"] = vote.cast_at.timestamp()
    if vote.traceparent is not None:
        message["traceparent"] = vote.traceparent
    if vote.number is not None:
        message["series"] = vote.series
        message["number"] = vote.number
    return json.dumps(message).encode()


class _Fields(msgspec.Struct):
    """The fields of a message that our own vote service wrote."""

    voter_id: str
    vote: str
    cast_at: float | None = None
    traceparent: str | None = None
    series: Annotated[int, msgspec.Meta(ge=0, le=MAX_NUMBER)] = 0
    number: Annotated[int, msgspec.Meta(ge=1, le=MAX_NUMBER)] | None = None


_fields = msgspec.json.Decoder(_Fields).decode


def decode(message: bytes) -> Vote:
    """The vote of a message; raises MalformedVote."""
    try:
        fields = _fields(message)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _decode_any(message)
    return Vote(
        _voter_id(fields.voter_id),
        _option(fields.vote),
        _cast_at(fields.cast_at),
        fields.traceparent,
        fields.series,
        fields.number,
    )


def _decode_any(message: bytes) -> Vote:
    """The same for any other message: eight times slower, more tolerant, and able to say what is wrong."""
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise MalformedVote(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise MalformedVote("not a JSON object")
    traceparent = fields.get("traceparent")
    return Vote(
        _voter_id(fields.get("voter_id")),
        _option(fields.get("vote")),
        _cast_at(fields.get("cast_at")),
        traceparent if isinstance(traceparent, str) else None,  # never a reason to reject a vote
        _whole("series", fields.get("series"), 0) or 0,
        _whole("number", fields.get("number"), 1),
    )


def _voter_id(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_VOTER_ID:
        raise MalformedVote(f"voter_id is not a string of 1 to {MAX_VOTER_ID} characters")
    # PostgreSQL's text can't hold a zero byte or half a surrogate pair
    if "\0" in value or (not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value)):
        raise MalformedVote("voter_id has a character that can't be stored")
    return value


def _option(value: object) -> str:
    # any letter: vote decides which options are on the ballot, and that may have changed while this vote waited
    if not isinstance(value, str) or len(value) != 1 or value not in KEYS:
        raise MalformedVote("vote is not an option's key (one letter, a to z)")
    return value


def _cast_at(value: object) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MalformedVote("cast_at is not a number")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):  # also NaN, Infinity, and whole numbers that no float can hold
        raise MalformedVote("cast_at is not a time in the years 1 to 9999") from None


def _whole(name: str, value: object, least: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_NUMBER:
        raise MalformedVote(f"{name} is not a whole number from {least} to {MAX_NUMBER}")
    return value


@dataclass(frozen=True, slots=True)
class Rejection:
    """A message that could not be counted; `rejected_at` is empty when it is unknown."""

    message: str
    reason: str
    rejected_at: str


def cast_time(head: Sequence[bytes]) -> datetime | None:
    """When the vote at the head of the queue was cast, None if that is unknown."""
    try:
        return decode(head[0]).cast_at if head else None
    except MalformedVote:
        return None


def rejection_note(message: bytes, reason: str, rejected_at: str) -> str:
    """A note for the list of rejected messages; a message that is cut is noted with its full length."""
    fields: dict[str, object] = {
        "message": message[:MESSAGE_BYTES].decode(errors="backslashreplace"),
        "reason": reason[:REASON_CHARACTERS],
        "rejected_at": rejected_at,
    }
    if len(message) > MESSAGE_BYTES:
        fields["message_bytes"] = len(message)
    return json.dumps(fields)


def read_rejection(note: bytes) -> Rejection:
    """A note of the list of rejected messages, or its beginning; it can be shown, whoever wrote it."""
    try:
        fields = json.loads(note)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        why = "is too long" if len(note) >= NOTE_BYTES else "can't be read"
        return Rejection(note.decode(errors="backslashreplace"), f"unknown: the note {why}", "")
    return Rejection(*(str(fields.get(name, "")) for name in ("message", "reason", "rejected_at")))

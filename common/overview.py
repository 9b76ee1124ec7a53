"""The queue at a glance, for those who watch it: how much waits, since when, and what was rejected."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from common.message import MalformedVote, decode

LAST_REJECTED = 5  # how many of the rejected messages an overview shows

# Others may write to Redis too, and messages of any length. So much of one is read to look at it, and kept when it is
# rejected: more than any vote that a vote service of ours writes.
MESSAGE_BYTES = 4096
REASON_CHARACTERS = 500
NOTE_BYTES = 32_768  # what a note with these takes at most, written as JSON


@dataclass(frozen=True, slots=True)
class Rejection:
    """A message that could not be counted; `rejected_at` as it was written, nothing if it can't be known."""

    message: str
    reason: str
    rejected_at: str


@dataclass(frozen=True, slots=True)
class Overview:
    """What Redis knew at one moment. `counted` is how many messages were settled since the queue began."""

    waiting: int
    counted: int
    oldest_cast_at: datetime | None
    rejected: int
    last_rejected: tuple[Rejection, ...]

    def oldest_seconds(self) -> float | None:
        """How long the oldest vote has waited: 0 when none waits, None when it does not say when it was cast."""
        if not self.waiting:
            return 0.0
        if self.oldest_cast_at is None:
            return None
        return max(0.0, (datetime.now(UTC) - self.oldest_cast_at).total_seconds())


def cast_time(head: Sequence[bytes]) -> datetime | None:
    """When the vote at the head of the queue was cast, None if nothing there says so."""
    try:
        return decode(head[0]).cast_at if head else None
    except MalformedVote:
        return None


def rejection_note(message: bytes, reason: str, rejected_at: str) -> str:
    """A note for the list of rejected messages; of a message that was cut it says how long it was."""
    fields: dict[str, object] = {
        "message": message[:MESSAGE_BYTES].decode(errors="backslashreplace"),
        "reason": reason[:REASON_CHARACTERS],
        "rejected_at": rejected_at,
    }
    if len(message) > MESSAGE_BYTES:
        fields["message_bytes"] = len(message)
    return json.dumps(fields)


def read_rejection(note: bytes) -> Rejection:
    """A note in the list of rejected messages, or its beginning; whoever wrote it, it can be shown."""
    try:
        fields = json.loads(note)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        why = "is too long" if len(note) >= NOTE_BYTES else "can't be read"
        return Rejection(note.decode(errors="backslashreplace"), f"unknown: the note {why}", "")
    return Rejection(*(str(fields.get(name, "")) for name in ("message", "reason", "rejected_at")))

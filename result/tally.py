"""The tally: how many votes each option has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asyncpg import Connection, Record

from common.ballot import Ballot, Option
from common.web import rfc3339

# One row per option, however many votes there are. Times that Python can't represent (infinity, the year 20000) become
# NULL here, because asyncpg could not even read them.
READ = """
SELECT vote, votes,
       CASE WHEN as_of::timestamptz BETWEEN '0001-01-01 00:00Z' AND '9999-12-31 23:59:59.999999Z'
            THEN as_of::timestamptz END AS as_of
  FROM tallies
"""


@dataclass(frozen=True, slots=True)
class Hint:
    """What PostgreSQL's notifications said since the last read."""

    first_at: float | None = None  # when the first one arrived, on `time.perf_counter`'s clock; None: there was none
    traceparents: tuple[str, ...] = ()  # of the recorded votes that are traced


NO_HINT = Hint()


@dataclass(frozen=True, slots=True)
class Tally:
    """What the table said at `read_at`; `as_of` is when the newest counted vote was cast."""

    votes: Mapping[str, int]
    as_of: datetime | None
    read_at: datetime
    hint: Hint = NO_HINT  # what prompted the read

    def says_the_same_as(self, other: "Tally | None") -> bool:
        """Whether this one tells a viewer who knows the other nothing new."""
        return other is not None and (self.votes, self.as_of) == (other.votes, other.as_of)


class UnreadableTally(Exception):
    """The table `tallies` holds something that is not a tally: it is not ours, or somebody has changed it."""


async def read_tally(connection: Connection, hint: Hint = NO_HINT) -> Tally:
    """Read the current tally; raises UnreadableTally, and what asyncpg raises."""
    read_at = datetime.now(UTC)
    try:
        rows = await connection.fetch(READ)
    except (ValueError, OverflowError) as error:  # such as a text that is not UTF-8
        raise UnreadableTally(f"the table tallies can't be read: {error}") from error
    cast_times = [row["as_of"] for row in rows if row["as_of"] is not None]
    return Tally(_votes(rows), max(cast_times, default=None), read_at, hint)


def _votes(rows: Sequence[Record]) -> dict[str, int]:
    votes: dict[str, int] = {}
    for row in rows:
        option, count = row["vote"], row["votes"]
        if not isinstance(option, str) or not isinstance(count, int) or count < 0 or option in votes:
            raise UnreadableTally(f"the table tallies holds what is not a tally: {option!r} has {count!r} votes")
        votes[option] = count
    return votes


def snapshot(tally: Tally, ballot: Ballot) -> dict[str, Any]:
    """The tally as sent to viewers: all options of the ballot, and any others with votes from before it changed."""
    gone = [Option(key, key.upper()) for key in sorted(tally.votes) if ballot.label(key) is None]
    total = sum(tally.votes.values())
    return {
        "question": ballot.question,
        "options": [
            {
                "key": option.key,
                "label": option.label,
                "votes": (votes := tally.votes.get(option.key, 0)),
                "percent": round(100 * votes / total, 1) if total else 0.0,
            }
            for option in (*ballot.options, *gone)
        ],
        "total": total,
        "as_of": rfc3339(tally.as_of) if tally.as_of else None,
        "read_at": rfc3339(tally.read_at),
    }

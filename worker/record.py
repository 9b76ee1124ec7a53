"""Recording: one vote per voter in the table `votes`; its triggers keep the tallies."""

from collections.abc import Sequence
from dataclasses import dataclass

from asyncpg import Connection, DataError, IntegrityConstraintViolationError

from common.message import Vote
from worker.batch import Columns, columns_of

# Recording a vote that is there already changes nothing: that makes it safe to replay the head of the queue.
# The microseconds become a time exactly from 1685 to 2255, and to some microseconds beyond: PostgreSQL multiplies by a
# double. The same vote always becomes the same time.
# A row that was inserted has no xmax; one that was updated has that of our own lock.
RECORD = """
WITH written AS (
    INSERT INTO votes AS v (voter_id, vote, cast_at)
         SELECT voter_id, option, timestamptz 'epoch' + microseconds * interval '1 microsecond'
           FROM unnest($1::text[], $2::text[], $3::bigint[]) AS cast_votes (voter_id, option, microseconds)
    ON CONFLICT (voter_id) DO UPDATE
            SET vote = excluded.vote, cast_at = excluded.cast_at
          WHERE (v.vote, v.cast_at) IS DISTINCT FROM (excluded.vote, excluded.cast_at)
      RETURNING xmax = 0 AS is_new
)
SELECT count(*) FILTER (WHERE is_new) AS new, count(*) FILTER (WHERE NOT is_new) AS replaced
  FROM written
"""

# What the database says of a row that it will never take, however often it is asked.
Unrecordable = (DataError, IntegrityConstraintViolationError)


@dataclass(frozen=True, slots=True)
class Written:
    """How many votes were their voter's first, and how many replaced another; the others were there already."""

    new: int = 0
    replaced: int = 0

    def __add__(self, other: "Written") -> "Written":
        return Written(self.new + other.new, self.replaced + other.replaced)


async def record(connection: Connection, columns: Columns) -> Written:
    """Record votes of different voters, all or none."""
    row = await connection.fetchrow(RECORD, *columns)
    assert row is not None  # it counts, so there is always one
    return Written(row["new"], row["replaced"])


async def record_one_by_one(connection: Connection, votes: Sequence[Vote]) -> tuple[Written, list[tuple[Vote, str]]]:
    """Record what can be recorded, within the transaction under way; returns also the others, each with the reason."""
    written = Written()
    refused: list[tuple[Vote, str]] = []
    for vote in votes:
        try:
            async with connection.transaction():
                written += await record(connection, columns_of([vote]))
        except Unrecordable as error:
            refused.append((vote, str(error)))
    return written, refused

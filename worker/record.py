"""Recording: one vote per voter in the table `votes`; its triggers keep the tallies."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from asyncpg import Connection

from common.message import Vote
from worker.batch import Columns, columns_of
from worker.problems import said

# Recording a vote that is there already changes nothing: that makes it safe to replay the head of the queue.
# The microseconds become a time exactly from 1685 to 2255, and to some microseconds beyond: PostgreSQL multiplies by a
# double. The same vote always becomes the same time.
# A row that was inserted has no xmax; one that was updated has that of our own lock.
RECORD = """
WITH written AS (
    INSERT INTO votes AS v (voter_id, vote, cast_at, series, number)
         SELECT voter_id, option, timestamptz 'epoch' + microseconds * interval '1 microsecond', series, number
           FROM unnest($1::text[], $2::text[], $3::bigint[], $4::int[], $5::int[])
             AS cast_votes (voter_id, option, microseconds, series, number)
    ON CONFLICT (voter_id) DO UPDATE
            SET vote = excluded.vote, cast_at = excluded.cast_at,
                -- a vote without a number leaves the row's as it is
                series = coalesce(excluded.series, v.series), number = coalesce(excluded.number, v.number)
          WHERE (v.vote, v.cast_at, v.series, v.number) IS DISTINCT FROM
                (excluded.vote, excluded.cast_at,
                 coalesce(excluded.series, v.series), coalesce(excluded.number, v.number))
                -- only a higher number of the same series keeps a later vote out
            AND (excluded.number >= v.number OR excluded.series <> v.series) IS NOT FALSE
      RETURNING xmax = 0 AS is_new
)
SELECT count(*) FILTER (WHERE is_new) AS new, count(*) FILTER (WHERE NOT is_new) AS replaced
  FROM written
"""

# Which of these votes a row with a higher number has kept out.
OUTDATED = """
SELECT count(*)
  FROM unnest($1::text[], $2::int[], $3::int[]) AS cast_votes (voter_id, series, number)
  JOIN votes AS v USING (voter_id)
 WHERE v.series = cast_votes.series AND v.number > cast_votes.number
"""


@dataclass(frozen=True, slots=True)
class Written:
    """How many votes were their voter's first, how many replaced another, and how many a row with a higher number kept
    out; the others were there already."""

    new: int = 0
    replaced: int = 0
    outdated: int = 0

    def __add__(self, other: "Written") -> "Written":
        return Written(self.new + other.new, self.replaced + other.replaced, self.outdated + other.outdated)


def is_fault_of_the_vote(error: asyncpg.PostgresError) -> bool:
    """Whether the table will never take this vote, although it takes others.

    The owner's rules for a vote (a CHECK, a foreign key, a column's width), and letters that the database can't hold.
    All else is a fault of the database: what a trigger meets, a sequence behind its table, a column that wants a value.
    """
    if isinstance(error, asyncpg.UntranslatableCharacterError):
        return True
    if error.context is not None:  # it was raised within a function, so by a trigger
        return False
    if isinstance(error, asyncpg.CheckViolationError | asyncpg.ForeignKeyViolationError):
        return error.table_name == "votes"
    return isinstance(error, asyncpg.StringDataRightTruncationError)


async def record(connection: Connection, columns: Columns) -> Written:
    """Record votes of different voters, all or none."""
    row = await connection.fetchrow(RECORD, *columns)
    assert row is not None  # it counts, so there is always one
    written = Written(row["new"], row["replaced"])
    if written.new + written.replaced == len(columns.voter_ids) or not columns.numbers:
        return written
    outdated = await connection.fetchval(OUTDATED, columns.voter_ids, columns.series, columns.numbers)
    return Written(written.new, written.replaced, outdated)


async def record_one_by_one(connection: Connection, votes: Sequence[Vote]) -> tuple[Written, list[tuple[Vote, str]]]:
    """Record what can be recorded, within the transaction under way; returns also the others, each with the reason."""
    written = Written()
    refused: list[tuple[Vote, str]] = []
    for vote in votes:
        try:
            async with connection.transaction():
                written += await record(connection, columns_of([vote]))
        except asyncpg.PostgresError as error:
            if not is_fault_of_the_vote(error):
                raise
            refused.append((vote, said(error)))
    return written, refused

"""Recording: one row per voter in the table `votes`, whose triggers keep the tallies."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from asyncpg import Connection

from common.message import Vote
from worker.batch import Columns, columns_of
from worker.errors import describe, is_fault_of_the_vote

# Recording a vote again changes nothing, so the head of the queue can safely be replayed.
# The conversion from microseconds is exact from 1685 to 2255, and off by some microseconds beyond, because PostgreSQL
# multiplies by a double; the same vote always becomes the same time.
# An inserted row has no xmax; an updated one has that of our own lock.
RECORD = """
WITH written AS (
    INSERT INTO votes AS v (voter_id, vote, cast_at, series, number)
         SELECT voter_id, option, timestamptz 'epoch' + microseconds * interval '1 microsecond', series, number
           FROM unnest($1::text[], $2::text[], $3::bigint[], $4::int[], $5::int[])
             AS cast_votes (voter_id, option, microseconds, series, number)
    ON CONFLICT (voter_id) DO UPDATE
            SET vote = excluded.vote, cast_at = excluded.cast_at,
                -- a vote without a number leaves the row's unchanged
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

# How many of these votes were superseded by a row with a higher number.
OUTDATED = """
SELECT count(*)
  FROM unnest($1::text[], $2::int[], $3::int[]) AS cast_votes (voter_id, series, number)
  JOIN votes AS v USING (voter_id)
 WHERE v.series = cast_votes.series AND v.number > cast_votes.number
"""


@dataclass(frozen=True, slots=True)
class Written:
    """How many votes were their voter's first, replaced another, or were superseded by a row with a higher number; the
    others were recorded already."""

    new: int = 0
    replaced: int = 0
    outdated: int = 0

    def __add__(self, other: "Written") -> "Written":
        return Written(self.new + other.new, self.replaced + other.replaced, self.outdated + other.outdated)


async def record(connection: Connection, columns: Columns) -> Written:
    """Record votes of different voters, all of them or none."""
    row = await connection.fetchrow(RECORD, *columns)
    assert row is not None  # an aggregate always has one row
    written = Written(row["new"], row["replaced"])
    if written.new + written.replaced == len(columns.voter_ids) or not columns.numbers:
        return written
    outdated = await connection.fetchval(OUTDATED, columns.voter_ids, columns.series, columns.numbers)
    return Written(written.new, written.replaced, outdated)


async def record_one_by_one(connection: Connection, votes: Sequence[Vote]) -> tuple[Written, list[tuple[Vote, str]]]:
    """Record what can be recorded, within the current transaction; also returns the rest, each with the reason."""
    written = Written()
    refused: list[tuple[Vote, str]] = []
    for vote in votes:
        try:
            async with connection.transaction():
                written += await record(connection, columns_of([vote]))
        except asyncpg.PostgresError as error:
            if not is_fault_of_the_vote(error):
                raise
            refused.append((vote, describe(error)))
    return written, refused

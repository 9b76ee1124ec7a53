"""Recording: one vote per voter in the table `votes`; its triggers keep the tallies."""

from collections.abc import Sequence

from asyncpg import Connection, DataError, IntegrityConstraintViolationError

from common.message import Vote

# Recording a vote that is there already changes nothing: that makes it safe to replay the head of the queue.
RECORD = """
INSERT INTO votes AS v (voter_id, vote, cast_at)
     SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
ON CONFLICT (voter_id) DO UPDATE
        SET vote = excluded.vote, cast_at = excluded.cast_at
      WHERE (v.vote, v.cast_at) IS DISTINCT FROM (excluded.vote, excluded.cast_at)
"""

# What the database says of a row that it will never take, however often it is asked.
Unrecordable = (DataError, IntegrityConstraintViolationError)


async def record(connection: Connection, votes: Sequence[Vote]) -> None:
    """Record votes of different voters, all or none."""
    await connection.execute(
        RECORD,
        [vote.voter_id for vote in votes],
        [vote.option for vote in votes],
        [vote.cast_at for vote in votes],
    )


async def record_one_by_one(connection: Connection, votes: Sequence[Vote]) -> list[tuple[Vote, str]]:
    """Record what can be recorded, within the transaction under way; returns the others, each with the reason."""
    refused: list[tuple[Vote, str]] = []
    for vote in votes:
        try:
            async with connection.transaction():
                await record(connection, [vote])
        except Unrecordable as error:
            refused.append((vote, str(error)))
    return refused

"""What can go wrong while counting, and what is said about it.

A server that is away, or busy, is waited for. A message that its table will never take is rejected. Anything else is a
fault that somebody must fix, in our own code, in the tables, or in Redis; it is retried all the same, so that it needs
no restart once it is fixed.
"""

import re
import traceback
from pathlib import Path

import asyncpg

from common.vote_queue import QueueBroken, QueueUnavailable

PROJECT = Path(__file__).resolve().parent.parent
OURS = ("common", "worker")

# PostgreSQL's classes of errors: connections lost (08) and refused (28), a standby's read-only transactions (25), no
# such database (3D), collisions (40), no room (53), locks (55), shutting down and timeouts (57), disks (58).
TRANSIENT = ("08", "25", "28", "3D", "40", "53", "55", "57", "58")
ARGUMENT = re.compile(r"(invalid input for query argument \$\d+): .*(?= \()", flags=re.DOTALL)


def is_transient(error: Exception) -> bool:
    """Whether it is enough to wait and try again."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate)[:2] in TRANSIENT
    if isinstance(error, QueueUnavailable):
        return not isinstance(error, QueueBroken)
    # InternalClientError: the connection ended while asyncpg was in the middle of something
    return isinstance(error, OSError | TimeoutError | asyncpg.InternalClientError)


def is_fault_of_the_vote(error: asyncpg.PostgresError) -> bool:
    """Whether the table will never take this vote, although it takes others.

    Because of the owner's rules for a vote (a CHECK, a foreign key, a column's width), or characters that the database
    can't hold. Everything else is a fault of the database: whatever a trigger runs into, a sequence behind its table, a
    column that requires a value.
    """
    if isinstance(error, asyncpg.UntranslatableCharacterError):
        return True
    if error.context is not None:  # raised within a function, so by a trigger
        return False
    if isinstance(error, asyncpg.CheckViolationError | asyncpg.ForeignKeyViolationError):
        return error.table_name == "votes"
    return isinstance(error, asyncpg.StringDataRightTruncationError)


def describe(error: BaseException) -> str:
    """Its message without rows and values, which would put voter ids into the log."""
    # str() adds DETAIL, which quotes the row
    text = str(error.args[0]) if isinstance(error, asyncpg.PostgresError) else str(error)
    return ARGUMENT.sub(r"\1", text) or type(error).__name__


def location(error: BaseException) -> str:
    """Where in our own code it was raised: `worker/record.py, line 71`."""
    found = ""
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.is_relative_to(PROJECT) and path.relative_to(PROJECT).parts[0] in OURS:
            found = f"{path.relative_to(PROJECT)}, line {frame.lineno}"
    return found

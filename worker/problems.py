"""What can go wrong while counting, and what is said of it.

A server that is away, or has something else to do, is waited for. Anything else is a fault that somebody must mend, in
our own code, in the tables, or in Redis; it is tried again all the same, because then it needs no restart.
"""

import re
import traceback
from pathlib import Path

import asyncpg

from common.vote_queue import QueueBroken, QueueUnavailable

PROJECT = Path(__file__).resolve().parent.parent
OURS = ("common", "worker")

# By PostgreSQL's classes of error: connections lost (08) and refused (28), a standby's read-only transactions (25), no
# such database (3D), collisions (40), no room (53), locks (55), shutting down and time limits (57), disks (58).
WAITED_FOR = ("08", "25", "28", "3D", "40", "53", "55", "57", "58")
ARGUMENT = re.compile(r"(invalid input for query argument \$\d+): .*(?= \()", flags=re.DOTALL)


def is_waited_for(error: Exception) -> bool:
    """Whether trying again is all there is to do."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate)[:2] in WAITED_FOR
    if isinstance(error, QueueUnavailable):
        return not isinstance(error, QueueBroken)
    # InternalClientError: asyncpg was in the middle of something when its connection was ended
    return isinstance(error, OSError | TimeoutError | asyncpg.InternalClientError)


def said(error: BaseException) -> str:
    """What it says, without the rows and the values in which voters' ids would get into the log."""
    # str() adds DETAIL, which quotes the row
    text = str(error.args[0]) if isinstance(error, asyncpg.PostgresError) else str(error)
    return ARGUMENT.sub(r"\1", text) or type(error).__name__


def place(error: BaseException) -> str:
    """Where in our own code it came up: `worker/record.py, line 71`."""
    found = ""
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.is_relative_to(PROJECT) and path.relative_to(PROJECT).parts[0] in OURS:
            found = f"{path.relative_to(PROJECT)}, line {frame.lineno}"
    return found

"""Who counts: what a worker tells the database of itself, and what the dashboard reads there."""

import os
import socket

# The worker that counts holds this lock. Any number does, as long as no other program on this database takes it.
COUNTING_LOCK = 7_411_905_502

# Every worker's connection is called this, followed by which worker it is; PostgreSQL shows it to every role.
WORKER = "tallyho-worker"

# An accepted vote that waits longer than this makes voters and operators wonder, so they are told.
DELAYED_SECONDS = 5.0


def worker_name() -> str:
    """The name of this worker's connection, within PostgreSQL's 63 bytes."""
    return f"{WORKER} {socket.gethostname()[:40]}:{os.getpid()}"

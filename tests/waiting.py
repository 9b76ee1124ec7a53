"""Waiting for a condition with a deadline, so that no test sleeps and hopes."""

from proof.waiting import eventually, eventually_async

__all__ = ["BUSY_SECONDS", "eventually", "eventually_async"]

BUSY_SECONDS = 10.0  # what a machine with other things to do may add to a time that is promised

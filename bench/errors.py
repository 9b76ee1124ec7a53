"""What can go wrong, in words for the person at the terminal."""


class BenchError(Exception):
    """The measurement can't go on; the text says why, and what to do."""


class NotSeen(Exception):
    """The running system did not show an edit in time."""

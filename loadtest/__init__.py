"""The load test: Locust's voters, viewers and abusers, and an audit that looks for every accepted vote."""

from proof import ProofError


class LoadTestError(ProofError):
    """Says what is wrong and what to do about it."""

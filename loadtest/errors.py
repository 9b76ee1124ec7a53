"""What the load test can't do."""

from proof.errors import ProofError


class LoadTestError(ProofError):
    """The text says what is wrong and what to do next."""

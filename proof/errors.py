"""What a proof can't do."""


class ProofError(Exception):
    """The text says what is wrong and what to do next."""

"""What the load test can't do."""


class LoadTestError(Exception):
    """The text says what is wrong and what to do next."""

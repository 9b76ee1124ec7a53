"""What the person at the keyboard can fix: such an error ends a command with one line and no traceback."""


class LocalError(Exception):
    """The text says what is wrong and what to do next."""

"""What the person at the keyboard can mend: such an error ends a command with its one line and no traceback."""


class LocalError(Exception):
    """The text says what is wrong and what to do next."""

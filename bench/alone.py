"""What every benchmark's run has in common: it is alone, and Ctrl-C or SIGTERM ends it in good order."""

import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from bench.errors import BenchError


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Two at once would measure each other, and share their containers."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BenchError("a benchmark is running here already: wait for its end") from None
        yield


def end_by_signals() -> None:
    """Make both signals a KeyboardInterrupt.

    SIGINT too: in a background job it is ignored, and what we start would inherit that and not stop by it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt

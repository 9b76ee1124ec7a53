"""What a benchmark is asked for, by environment variables, and what every run of one has in common."""

import fcntl
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from proof.system import DEFAULTS

PROJECT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"

# What our own make or Python may have set, or somebody for a system that runs.
NOT_INHERITED = {"COMPOSE", "COMPOSE_FILE", "COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME", "LIMITS", "LOADTEST_HOST"}
NOT_INHERITED |= {"LOADTEST_URL", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PARTS", "PYTHONPATH", "RESULT_PORTS", "ROUNDS"}
NOT_INHERITED |= {"RESULT_URL", "SECRETS_DIR", "VENV", "VIRTUAL_ENV", "VOTE_URL", "VOTE_URL_FILE", "RESULT_URL_FILE"}
NOT_INHERITED |= {"VOTE_PORTS"}


class BenchError(Exception):
    """The measurement can't go on; the text says why, and what to do."""


def names(variable: str, known: Sequence[str]) -> tuple[str, ...]:
    """The names that a variable lists, in its order; all if it lists none."""
    listed = tuple((os.environ.get(variable) or "").replace(",", " ").split())
    if unknown := [name for name in listed if name not in known]:
        raise BenchError(f"{variable}: there is no {unknown[0]!r}: name some of {', '.join(known)}")
    return listed or tuple(known)


def whole_number(name: str, default: int, *, least: int = 1) -> int:
    """A number from the environment, e.g. VOTES=200,000."""
    text = os.environ.get(name, "").replace("_", "").replace(",", "") or str(default)
    if not text.isdecimal() or int(text) < least:
        raise BenchError(f"{name}={text}: give a whole number from {least:,} on, e.g. {name}={default}")
    return int(text)


def results_folder(name: str) -> Path:
    """Where a benchmark leaves its results."""
    data = PROJECT / Path(os.environ.get("DATA_DIR") or ".data").expanduser()
    return data.resolve() / name


def clean_environment() -> dict[str, str]:
    """Our environment without what would lead a contender to other servers, folders or settings."""
    return {name: value for name, value in os.environ.items() if name not in NOT_INHERITED | DEFAULTS.keys()}


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Refuse to run beside another benchmark: they would measure each other, and share containers."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BenchError("a benchmark is running here already: wait for its end") from None
        yield


def end_by_signals() -> None:
    """Turn SIGINT and SIGTERM into KeyboardInterrupt.

    SIGINT too: a shell makes background jobs ignore it, and our children would inherit that and not stop by it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt

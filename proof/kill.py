"""Kills and pauses processes that `make up` keeps running: its supervisor restarts what dies."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from proof import ProofError
from proof.waiting import TooLate, eventually

PATIENCE_SECONDS = 10.0


class ProcessKiller:
    """Kills by name; `pids` says which processes run now, and raises ProofError if nothing does."""

    victims: tuple[str, ...] = ("worker", "redis", "postgres", "result", "vote")

    def __init__(self, pids: Callable[[], Mapping[str, int]], *, patience: float = PATIENCE_SECONDS) -> None:
        self._pids = pids
        self._patience = patience

    def check(self, victims: Sequence[str]) -> None:
        """Raise ProofError if one of these can't be killed."""
        for victim in victims:
            self.process(victim)

    def kill(self, victim: str) -> str:
        """Kill it; returns what was killed, in words."""
        process = self.process(victim)
        kill(process)
        return f"kill -9 {victim} ({process})"

    def process(self, victim: str) -> int:
        """Its process id, as soon as it has one."""
        try:
            return eventually(lambda: self._pids().get(victim), within=self._patience, despite=(OSError,)) or 0
        except TooLate:
            raise ProofError(f"there is no process {victim}; running are: {', '.join(self._pids())}") from None


def kill(process: int) -> None:
    """Kill as a crash does."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


@contextmanager
def paused(process: int) -> Iterator[None]:
    """Make a process and its children hang for a while."""
    processes = [process, *children_of(process)]
    for each in processes:
        _signal(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in processes:
            _signal(each, signal.SIGCONT)


def children_of(process: int) -> list[int]:
    """The processes that this one started (Linux only)."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # it has just ended
            found += [int(child) for child in task.read_text().split()]
    return found


def _signal(process: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has just ended
        os.kill(process, number)

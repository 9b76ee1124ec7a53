"""What a program to run is; the supervisor and the tests start the same ones."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.account import Account, start_as


@dataclass(frozen=True)
class Program:
    """One program, and how it likes to be started and stopped."""

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    folder: Path = Path("/")
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 5.0
    # Runs once, before the first start; returns lines for the log.
    prepare: Callable[[], list[str]] = field(default=list)
    # Shortens a line of its output; None leaves it out.
    tidy: Callable[[str], str | None] = field(default=str)

    def start_arguments(self) -> dict[str, Any]:
        """Arguments for subprocess: a session of its own, so that Ctrl-C in the terminal reaches only us."""
        return {"cwd": self.folder, "env": dict(self.environ), "start_new_session": True, **start_as(self.account)}

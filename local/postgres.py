"""The PostgreSQL server: found on PATH or in a wheel, initialised once, run in the foreground on a socket."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from urllib.parse import quote

from local.account import Account, hand_over, open_way, server_account, start_as
from local.environment import server_environ
from local.errors import LocalError
from local.postgres_choice import choose, installations, made_by
from local.programs import Program
from local.sockets import POSTGRES_SOCKET, is_answered, make_socket_folder

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


def postgres_program(data: Path, sockets: Path) -> Program:
    """The server of the database `votes` in the folder `data`."""
    installation = choose(installations(), made_by(data), data=data)
    account = server_account(data)
    binaries = installation.binaries
    return Program(
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
        account=account,
        stop_signal=signal.SIGINT,  # a "fast" shutdown: ends open connections instead of waiting for them
        stop_seconds=4.0,
        prepare=partial(_prepare, binaries, data, sockets, account),
    )


def postgres_url(sockets: Path) -> str:
    """The address for asyncpg and psql; the port keeps PGPORT of the environment from mattering."""
    return f"postgresql://postgres@/votes?host={quote(str(sockets), safe='/')}&port=5432"


def _prepare(binaries: Path, data: Path, sockets: Path, account: Account | None) -> list[str]:
    make_socket_folder(sockets)
    hand_over(sockets, account)
    opened = open_way(account, (data, sockets / POSTGRES_SOCKET, binaries / "postgres"))
    lines = [f"the user {account.name} may now pass {', '.join(map(str, opened))} (o+x)"] if account and opened else []
    if (data / "PG_VERSION").exists():
        return [*lines, *_clear_leftovers(data, sockets)]
    _initialise(binaries, data, account)
    return [*lines, f"made a database in {data}"]


def _initialise(binaries: Path, data: Path, account: Account | None) -> None:
    """Make the data in a folder beside it and move that into place, so that a crash never leaves half a database."""
    for leftover in data.parent.glob(f"{data.name}.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix=f"{data.name}.new-", dir=data.parent))
    hand_over(new, account)
    initdb = [
        str(binaries / "initdb"),
        "-D",
        str(new),
        "-U",
        "postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
    ]
    _run(initdb, account)
    _run(
        [str(binaries / "postgres"), "--single", "-D", str(new), "postgres"], account, stdin="CREATE DATABASE votes;\n"
    )
    new.rename(data)


def _run(argv: list[str], account: Account | None, *, stdin: str = "") -> None:
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=server_environ(),
            **start_as(account),
        )
    except OSError as error:
        who = account.name if account else "this user"
        raise LocalError(f"{who} can't run {argv[0]} ({error.strerror}): put another PostgreSQL on PATH") from error
    # In single-user mode an error does not change the exit code.
    if done.returncode != 0 or "ERROR:" in done.stderr:
        raise LocalError(f"{Path(argv[0]).name} failed:\n{done.stderr.strip() or done.stdout.strip()}")


def _clear_leftovers(data: Path, sockets: Path) -> list[str]:
    """We hold the lock of this folder: a postmaster.pid in it is of a server that was left behind or is long gone."""
    try:
        process = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return []
    if not is_answered(sockets / POSTGRES_SOCKET):
        # Its number may be another process's by now, which PostgreSQL would take for the old server.
        (data / "postmaster.pid").unlink(missing_ok=True)
        return ["the last PostgreSQL here was killed; it recovers now"]
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGINT)
    deadline = time.monotonic() + 5
    while (data / "postmaster.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return [f"ended a PostgreSQL that an earlier run left behind (process {process})"]


def _tidy(line: str) -> str | None:
    if any(chatter in line for chatter in _CHATTER):
        return None
    text = line.removeprefix("LOG:").lstrip()
    if text == "database system is ready to accept connections":
        return "ready"
    return text.partition(" on ")[0] if text.startswith("starting PostgreSQL") else text


def _quoted(folder: Path) -> str:
    return '"' + str(folder).replace('"', '""') + '"'

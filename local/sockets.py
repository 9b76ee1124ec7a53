"""Where the embedded servers listen: sockets in the data folder, or in a short folder where that path is too long."""

import contextlib
import hashlib
import os
import socket
import sys
from pathlib import Path

from local.errors import LocalError

# The size of sockaddr_un.sun_path less its closing zero.
LONGEST_PATH = 103 if sys.platform == "darwin" else 107
POSTGRES_SOCKET = ".s.PGSQL.5432"
REDIS_SOCKET = "redis.sock"
IN_DATA = "run"


def socket_folder(data: Path) -> Path:
    """The folder for the sockets of the servers whose data lies in `data` (an absolute path)."""
    name = f"tallyho-{os.geteuid()}-{hashlib.sha256(os.fsencode(data)).hexdigest()[:12]}"
    # Not TMPDIR: each Nix shell has one of its own, and several runs are to find each other.
    for folder in (data / IN_DATA, Path("/tmp").resolve() / name):
        if _fits(folder):
            return folder
    raise LocalError(f"{data} is too deep for a socket: set DATA_DIR to a shorter path")


def make_socket_folder(folder: Path) -> None:
    """Make it; outside the data folder, refuse one that somebody else has put there."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    found = folder.lstat()
    if folder.is_symlink() or (os.geteuid() != 0 and found.st_uid != os.geteuid()):
        raise LocalError(f"{folder} belongs to somebody else: remove it, or set DATA_DIR to a shorter path")


def remove_sockets(folder: Path, name: str) -> None:
    """Remove what a server that was killed has left of its socket, and the folder if it was made for sockets only."""
    for path in folder.glob(f"{name}*"):
        path.unlink(missing_ok=True)
    if folder.name != IN_DATA:
        with contextlib.suppress(OSError):  # the other server's socket is still in it
            folder.rmdir()


def is_answered(path: Path) -> bool:
    """Whether a process listens on this socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return False
        return True


def ask(path: Path, message: bytes, *, farewell: bytes = b"") -> bytes:
    """The beginning of the answer that a server gives on this socket, empty if there is none within a second."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
            connection.sendall(message)
            answer = connection.recv(1000)
        except OSError:
            return b""
        with contextlib.suppress(OSError):  # a server that refuses us has gone already
            connection.sendall(farewell)
        return answer


def _fits(folder: Path) -> bool:
    # A comma separates hosts in a PostgreSQL address, and can't be quoted there.
    return len(os.fsencode(folder / POSTGRES_SOCKET)) <= LONGEST_PATH and "," not in str(folder)

"""Where the embedded servers listen, and whether a part answers.

`python -m local.probe postgres` (or redis) tells it by its exit code. That runs every second or two, so this module
imports little, speaks to the servers by hand, and needs no HTTP client.
"""

import asyncio
import contextlib
import hashlib
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from local.environment import data_folder
from local.errors import LocalError

if TYPE_CHECKING:
    from ssl import SSLContext

# The size of sockaddr_un.sun_path less its closing zero.
LONGEST_PATH = 103 if sys.platform == "darwin" else 107
POSTGRES_SOCKET = ".s.PGSQL.5432"
REDIS_SOCKET = "redis.sock"
IN_DATA = "run"

POLL_SECONDS = 0.05
ANSWER_SECONDS = 2.0
# After so long, say what is missing.
PATIENCE_SECONDS = 15.0

# Protocol 3.0, then pairs of texts, as PostgreSQL's "Message Formats" has it; the length in front counts itself.
_STARTUP_BODY = b"\x00\x03\x00\x00user\x00postgres\x00database\x00votes\x00\x00"
_STARTUP = (len(_STARTUP_BODY) + 4).to_bytes(4, "big") + _STARTUP_BODY
_CANNOT_CONNECT_NOW = b"C57P03\x00"

# Says what is wrong, an empty text if all is well.
Check = Callable[[], Awaitable[str]]


def socket_folder(data: Path) -> Path:
    """The folder for the sockets of the servers whose data lies in `data` (an absolute path): in it, if that is short
    enough for a socket's path."""
    name = f"tallyho-{os.geteuid()}-{hashlib.sha256(os.fsencode(data)).hexdigest()[:12]}"
    # Not TMPDIR: each Nix shell has its own, and several runs must find each other.
    for folder in (data / IN_DATA, Path("/tmp").resolve() / name):
        # A comma separates hosts in a PostgreSQL address, and can't be quoted there.
        if len(os.fsencode(folder / POSTGRES_SOCKET)) <= LONGEST_PATH and "," not in str(folder):
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
    """Remove what a killed server left of its socket, and the folder if it was made for sockets only."""
    for path in folder.glob(f"{name}*"):
        path.unlink(missing_ok=True)
    if folder.name != IN_DATA:
        with contextlib.suppress(OSError):  # the other server's socket is still in it
            folder.rmdir()


def ask(path: Path, message: bytes = b"", *, farewell: bytes = b"") -> bytes | None:
    """The beginning of a server's answer on this socket, empty if there is none within a second; None if nobody
    listens."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
        except OSError:
            return None
        answer = b""
        with contextlib.suppress(OSError):  # a server that refuses us may have gone already
            connection.sendall(message)
            answer = connection.recv(1000) if message else b""
            connection.sendall(farewell)
        return answer


def postgres_answers(sockets: Path) -> bool:
    """Whether PostgreSQL takes connections: not while it starts, recovers or stops."""
    answer = ask(sockets / POSTGRES_SOCKET, _STARTUP, farewell=b"X\x00\x00\x00\x04") or b""
    return answer != b"" and _CANNOT_CONNECT_NOW not in answer


def redis_answers(sockets: Path) -> bool:
    """Whether Redis answers a PING, which it does once its data is loaded."""
    return (ask(sockets / REDIS_SOCKET, b"PING\r\n") or b"").startswith(b"+PONG")


ANSWERS: Mapping[str, Callable[[Path], bool]] = {"postgres": postgres_answers, "redis": redis_answers}


def server_check(name: str, sockets: Path) -> Check:
    """Whether PostgreSQL or Redis answers on its socket."""

    async def check() -> str:
        return "" if await asyncio.to_thread(ANSWERS[name], sockets) else "no answer"

    return check


def service_check(url: str, *, host: str) -> Check:
    """Whether the service that listens on this host answers /readyz with 200."""
    address = urlsplit(url)
    # One that listens on every address is asked on this one.
    here = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
    return partial(_readyz, here, address.port or 80, tls=address.scheme == "https")


async def wait_until_ready(checks: Mapping[str, Check], *, on_delay: Callable[[str], None]) -> None:
    """Return once nothing is wrong with any of them."""
    loop = asyncio.get_running_loop()
    tell_at = loop.time() + PATIENCE_SECONDS
    while missing := await _not_ready(checks):
        if loop.time() > tell_at:
            on_delay("; ".join(f"{name} is not ready yet: {problem}" for name, problem in missing.items()))
            tell_at = loop.time() + 4 * PATIENCE_SECONDS
        await asyncio.sleep(POLL_SECONDS)


async def _not_ready(checks: Mapping[str, Check]) -> dict[str, str]:
    problems = {}
    for name, check in checks.items():
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                problem = await check()
        except (OSError, TimeoutError):
            problem = "no answer"
        if problem:
            problems[name] = problem
    return problems


async def _readyz(host: str, port: int, *, tls: bool) -> str:
    reader, writer = await asyncio.open_connection(host, port, ssl=_unverified() if tls else None)
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    status = head.split(b" ", 2)[1:2]
    return "" if status == [b"200"] else body.decode(errors="replace").strip() or "no answer"


def _unverified() -> "SSLContext":
    # Imported here, because most runs have no TLS. The certificate is for the name that people type, not for this host.
    import ssl

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def main(argv: Sequence[str]) -> int:
    """0 if the server of the data folder answers, 1 if it doesn't, 2 if there is no such server."""
    if len(argv) != 1 or argv[0] not in ANSWERS:
        print("name a server: python -m local.probe postgres (or redis)", file=sys.stderr)
        return 2
    try:
        if ANSWERS[argv[0]](socket_folder(data_folder())):
            return 0
        print(f"{argv[0]} does not answer in {data_folder()}", file=sys.stderr)
    except LocalError as error:
        print(error, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

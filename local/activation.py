"""The parent's side of socket activation: a service is handed its listening sockets as in sd_listen_fds(3), and says
that it is ready as in sd_notify(3).

`python -m local.activation vote http=7` starts a service: only the process itself knows its number, which LISTEN_PID
must be. It runs the service in place, because another exec would cost each start a tenth of its time.
"""

import contextlib
import fcntl
import os
import runpy
import secrets
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from common.preflight import tcp_socket

# By which name each service knows its socket: people ask vote and result, only machines ask the worker.
NAMES = {"vote": "http", "result": "http", "worker": "metrics"}
FIRST_DESCRIPTOR = 3
BACKLOG = 1024  # connections that wait while no process takes any


def listening_socket(address: str, port: int) -> socket.socket:
    """A socket that listens, to be handed to one process after another; raises OSError."""
    listener = tcp_socket(address)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def command(service: str, sockets: Mapping[str, socket.socket]) -> tuple[str, ...]:
    """What starts the service with these sockets, by their names; their descriptors must be passed on."""
    handed = (f"{name}={each.fileno()}" for name, each in sockets.items())
    return (sys.executable, "-m", "local.activation", service, *handed)


class Notifications:
    """Where one process says how it is; `on_ready` is called when it is ready. `environ` tells it where that is."""

    def __init__(self, on_ready: Callable[[], None]) -> None:
        self._on_ready = on_ready
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        if sys.platform == "linux":  # abstract: there is no file that a kill -9 would leave behind
            name = f"tallyho-{secrets.token_hex(8)}"
            self._socket.bind(f"\0{name}")
            self.environ = {"NOTIFY_SOCKET": f"@{name}"}
        else:
            self._folder = tempfile.TemporaryDirectory(prefix="tallyho-")
            path = str(Path(self._folder.name) / "notify")
            self._socket.bind(path)
            self.environ = {"NOTIFY_SOCKET": path}

    def fileno(self) -> int:
        """For the event loop."""
        return self._socket.fileno()

    def receive(self) -> None:
        """Take what has come; to be called when there is something to read."""
        with contextlib.suppress(BlockingIOError):
            while True:
                if b"READY=1" in self._socket.recv(4096).split(b"\n"):
                    self._on_ready()

    def close(self) -> None:
        """The process has ended."""
        self._socket.close()
        if self._folder:
            self._folder.cleanup()


def main(argv: Sequence[str]) -> None:
    """Become the service, with its sockets where it looks for them."""
    service, *handed = argv
    names, descriptors = zip(*(each.split("=") for each in handed), strict=True)
    # First out of the way: the place of one may be where another one is now.
    above = [fcntl.fcntl(int(each), fcntl.F_DUPFD, FIRST_DESCRIPTOR + len(handed)) for each in descriptors]
    for each in descriptors:
        os.close(int(each))
    for number, descriptor in enumerate(above, FIRST_DESCRIPTOR):
        os.dup2(descriptor, number, inheritable=False)
        os.close(descriptor)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(handed)), "LISTEN_FDNAMES": ":".join(names)}
    sys.argv = [service]
    runpy.run_module(service, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])

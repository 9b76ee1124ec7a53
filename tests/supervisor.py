"""The other side of socket activation, for tests: holds a service's socket, and hands it from process to process."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.services import PROJECT
from tests.waiting import BUSY_SECONDS, eventually

READY_SECONDS = 30.0
STOP_SECONDS = 5.0

# Becomes the service when the socket is where sd_listen_fds(3) says, and the process is the one that is named.
LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-m", sys.argv[2]])
"""


class Process:
    """A service that was handed a socket; `told` is what it has said of itself."""

    def __init__(self, name: str, listener: socket.socket, environment: Mapping[str, str], log: Path) -> None:
        self.told: list[str] = []
        address = f"tallyho-test-{secrets.token_hex(8)}"
        self._inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._inbox.bind(f"\0{address}")
        self._inbox.setblocking(False)
        number = listener.fileno()
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", LAUNCH, str(number), name],
                cwd=PROJECT,
                env={**os.environ, "PYTHONWARNINGS": "error", **environment, "NOTIFY_SOCKET": f"@{address}"},
                pass_fds=[number],
                stdout=output,
                stderr=output,
            )

    def has_told(self, line: str) -> bool:
        """Whether it has said this."""
        with suppress(BlockingIOError):
            while True:
                self.told += self._inbox.recv(4096).decode().splitlines()
        return line in self.told

    def until_ready(self) -> None:
        """Until it says so."""

        def is_ready() -> bool:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}"
            return self.has_told("READY=1")

        eventually(is_ready, within=READY_SECONDS, saying="it is ready")

    def stop(self) -> float:
        """Ask it to end, and wait until it has; returns how long that took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOP_SECONDS + BUSY_SECONDS)
        assert self.process.returncode == 0
        assert self.has_told("STOPPING=1")
        return time.monotonic() - began

    def close(self) -> None:
        """End what is left of it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._inbox.close()


class Supervisor:
    """Holds the socket; `serving` is the process that was started last."""

    def __init__(self, name: str, purpose: str, log: Path, environment: Mapping[str, str]) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self._name = name
        self._environment = {**environment, "LISTEN_FDS": "1", "LISTEN_FDNAMES": purpose}
        self._processes: list[Process] = []

    @property
    def serving(self) -> Process:
        return self._processes[-1]

    def start(self) -> Process:
        """Start a process beside those that run."""
        self._processes.append(Process(self._name, self.listener, self._environment, self.log))
        return self.serving

    def hand_over(self) -> float:
        """Replace the process that serves by a new one; returns how long the old one took to end."""
        old = self.serving
        self.start().until_ready()
        return old.stop()

    def close(self) -> None:
        """End everything."""
        for process in self._processes:
            process.close()
        self.listener.close()


@contextmanager
def supervised(name: str, log: Path, *, purpose: str = "http", **environment: str) -> Iterator[Supervisor]:
    """A service that is ready, and that another process of it may replace."""
    supervisor = Supervisor(name, purpose, log, environment)
    try:
        supervisor.start().until_ready()
        yield supervisor
        supervisor.serving.stop()
    finally:
        supervisor.close()

"""The whole system, as `make up` runs it, on ports and in a data folder of its own."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.commands import Shell, stop
from bench.errors import BenchError
from bench.memory import family, of_processes
from bench.speed.place import HOST, Place, answers, clean_environment
from local.environment import PROJECT

SERVICES = ("vote", "result", "worker")
READY_SECONDS = 60.0
POLL_SECONDS = 0.02
SERVERS = ("postgres", "redis-server", "valkey-server")


@dataclass(frozen=True)
class System:
    """One that is ready, and how long that took."""

    ports: dict[str, int]
    pid: int
    ready_seconds: float

    def megabytes(self) -> float:
        """The memory of all processes but those of PostgreSQL and Redis; what several share is divided among them."""
        all_of_it = of_processes(self.pid)
        if all_of_it is None:
            raise BenchError("this system does not tell the memory of a process: STAGES=... without this stage")
        servers = [pid for pid in family(self.pid) if name_of(pid) in SERVERS]
        tops = [pid for pid in servers if not any(pid in family(other)[1:] for other in servers)]
        return (all_of_it - sum(of_processes(pid) or 0 for pid in tops)) / 1024**2


@contextmanager
def started(place: Place) -> Iterator[System]:
    """`make up` until it is ready; ended by Ctrl-C. Twice at one place is a second start."""
    ports = {name: place.port() for name in SERVICES}
    environ = clean_environment() | {f"{name.upper()}_PORT": str(port) for name, port in ports.items()}
    environ |= {"DATA_DIR": str(place.folder / "data"), "HOST": HOST}
    shell = Shell(PROJECT, environ, place.folder / "up.log")
    began = time.monotonic()
    process = shell.start("make", "up")
    try:
        for name in SERVICES:
            is_ready = answers(ports[name], "/readyz")
            while not is_ready():
                if process.poll() is not None or time.monotonic() > began + READY_SECONDS:
                    raise BenchError(f"{name} was not ready: {shell.last_lines()}")
                time.sleep(POLL_SECONDS)
        yield System(ports, process.pid, time.monotonic() - began)
    finally:
        stop(process, signal.SIGINT)


def name_of(pid: int) -> str:
    """The program's name; empty if it has just ended."""
    try:
        return Path(os.readlink(f"/proc/{pid}/exe")).name
    except OSError:
        return ""

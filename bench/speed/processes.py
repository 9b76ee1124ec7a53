"""Processes of the benchmark: kept on one core, waited for, and ended with all that they have started."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bench.errors import BenchError
from local.environment import environment

HOST = "127.0.0.1"
READY_SECONDS = 30.0
STOP_SECONDS = 10.0
LAST_LINES = 12
# What our own environment may say, and a contender's must not.
NOT_INHERITED = ("_URL", "_FILE", "_PORT", "_HOST", "SECRET_KEY", "LIMIT_PER_VOTER", "LIMIT_PER_ADDRESS", "DATA_DIR")


def listens(port: int) -> Callable[[], bool]:
    """Whether somebody takes connections on this port of loopback."""

    def ask() -> bool:
        try:
            with socket.create_connection((HOST, port), timeout=1):
                return True
        except OSError:
            return False

    return ask


def answers(port: int, path: str = "/") -> Callable[[], bool]:
    """Whether somebody answers a request for this path, on this port of loopback, with 200."""

    def ask() -> bool:
        connection = HTTPConnection(HOST, port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    return ask


def pinned(core: int) -> list[str]:
    """What stands before a command so that it stays on one core; nothing where there is no `taskset`."""
    taskset = shutil.which("taskset")
    return [taskset, "-c", str(core)] if taskset else []


def pin(pid: int, core: int) -> None:
    """Keep a process on one core, with its threads and what it has started; as far as this system can."""
    if not hasattr(os, "sched_setaffinity"):
        return
    for each in [pid, *children(pid)]:
        with suppress(OSError):  # it has just ended
            for thread in os.listdir(f"/proc/{each}/task"):
                os.sched_setaffinity(int(thread), {core})


def children(pid: int) -> list[int]:
    """The processes that a process has started, and those that these have started."""
    found: list[int] = []
    with suppress(OSError):  # it has just ended
        for thread in os.listdir(f"/proc/{pid}/task"):
            for child in map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split()):
                found += [child, *children(child)]
    return found


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process as a terminal would, and at last by force; it has a group of its own, which goes with it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    with suppress(OSError):  # usually nothing is left of the group
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def clean_environment() -> dict[str, str]:
    """Our environment without what would lead a contender to other servers or settings."""
    return {name: value for name, value in environment().items() if not name.endswith(NOT_INHERITED)}


def wait(process: "subprocess.Popen[bytes]", ready: Callable[[], bool], log: Path) -> None:
    """Wait until a process is ready; raises BenchError with its last words."""
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if process.poll() is not None:
            raise BenchError(f"it ended before it was ready: {_last_lines(log)}")
        if time.monotonic() > deadline:
            raise BenchError(f"not ready within {READY_SECONDS:g} s: {_last_lines(log)}")
        time.sleep(0.02)


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])

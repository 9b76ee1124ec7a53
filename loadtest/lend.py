"""`python -m loadtest worker`: works for a master, waits for it as long as it takes, and lives on when it restarts."""

import signal
import socket
import subprocess
import time
from contextlib import suppress
from types import FrameType

import psutil  # type: ignore[import-untyped]

from loadtest.launch import check_settings, locust_command, master, worker_arguments
from loadtest.settings import PROJECT

POLL_SECONDS = 0.3
TELL_SECONDS = 2.0
END_SECONDS = 3.0  # a master that says goodbye listens for a moment longer


class _Stop:
    """How often a signal has said to stop. It only counts, so that nothing is left half done, a start least of all."""

    def __init__(self) -> None:
        self.times = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.times += 1


def lend() -> int:
    """Work for one master after the other, until a signal."""
    check_settings()
    stop = _Stop()
    while _wait_for_master(stop):
        code = _work(stop)
        if stop.times:
            break
        if code:
            return code
        print("the master has ended: waiting for the next one (Ctrl-C ends this)", flush=True)
        _until_gone(stop)
    return 0


def _work(stop: _Stop) -> int:
    """Be a worker until the master ends, in a process of its own: the next master may have other code."""
    worker = subprocess.Popen([*locust_command(), *worker_arguments()], cwd=PROJECT)
    told = 0
    while True:
        with suppress(subprocess.TimeoutExpired):
            return worker.wait(POLL_SECONDS)
        if stop.times > told:
            told = stop.times
            _interrupt(worker.pid)


def _interrupt(process: int) -> None:
    """Let a worker stop its users and hand in its ledger. With PROCESSES it has children, who do the work."""
    for one in [psutil.Process(process), *psutil.Process(process).children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGINT)


def _wait_for_master(stop: _Stop) -> bool:
    """Wait until there is one (True) or a signal has come."""
    began, told = time.monotonic(), False
    while not stop.times and (problem := _problem()):
        if not told and time.monotonic() - began > TELL_SECONDS:
            told = True
            print(f"waiting for the master at {_address()} ({problem})", flush=True)
        time.sleep(POLL_SECONDS)
    if stop.times:
        return False
    print(f"working for the master at {_address()}", flush=True)
    return True


def _until_gone(stop: _Stop) -> None:
    deadline = time.monotonic() + END_SECONDS
    while not stop.times and not _problem() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _problem() -> str:
    """Why the master can't be reached, empty if it can."""
    try:
        socket.create_connection(master(), timeout=2).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _address() -> str:
    host, port = master()
    return f"{host}:{port}"

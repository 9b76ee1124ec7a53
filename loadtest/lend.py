"""`python -m loadtest worker`: works for a master, waits for it as long as it takes, and lives on when it restarts."""

import os
import signal
import socket
import subprocess
import time
from types import FrameType
from typing import NoReturn

import psutil  # type: ignore[import-untyped]

from loadtest.launch import check_settings, locust_command, master, worker_arguments
from loadtest.settings import PROJECT

POLL_SECONDS = 0.5
TELL_SECONDS = 2.0
END_SECONDS = 3.0  # a master that says goodbye listens for a moment longer


class _Stopped(Exception):
    """A signal said so."""


def lend() -> int:
    """Work for one master after the other, until a signal."""
    check_settings()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        while True:
            _wait_for_master()
            if code := _work():
                return code
            print("the master has ended: waiting for the next one (Ctrl-C ends this)", flush=True)
            _until_gone()
    except _Stopped:
        return 0


def _work() -> int:
    """Be a worker until the master ends, in a process of its own: the next master may have other code."""
    worker = subprocess.Popen([*locust_command(), *worker_arguments()], cwd=PROJECT)
    try:
        return worker.wait()
    except _Stopped:
        _interrupt(worker.pid)
        worker.wait()
        raise


def _interrupt(process: int) -> None:
    """Let a worker stop its users and hand in its ledger. With PROCESSES it has children, who do the work."""
    family = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    for one in family:
        if one.is_running():
            os.kill(one.pid, signal.SIGINT)


def _wait_for_master() -> None:
    began, told = time.monotonic(), False
    while problem := _problem():
        if not told and time.monotonic() - began > TELL_SECONDS:
            told = True
            print(f"waiting for the master at {_address()} ({problem})", flush=True)
        time.sleep(POLL_SECONDS)
    print(f"working for the master at {_address()}", flush=True)


def _until_gone() -> None:
    deadline = time.monotonic() + END_SECONDS
    while not _problem() and time.monotonic() < deadline:
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


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise _Stopped

"""Starts, pins and ends every process of a benchmark: commands that finish, and servers that go on."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]

from bench.settings import HOST, BenchError
from proof.waiting import TooLate, eventually

COMMAND_SECONDS = 900.0  # the first installation and the first images, on a slow connection
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
SHOWN_LINES = 15


class Shell:
    """A folder, an environment, and a log of what the commands in it print.

    Each command gets a session of its own, so that Ctrl-C in the terminal reaches only us.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str], log: Path) -> None:
        self.folder = folder
        self.environ = dict(environ)
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")

    def run(self, *command: str, core: int | None = None, seconds: float = COMMAND_SECONDS) -> str:
        """The output of a command that finishes; raises BenchError with the end of it if the command fails."""
        with subprocess.Popen(
            [*_pinned(core), *command],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, errors = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                raise BenchError(f"{' '.join(command)} took longer than {seconds:g} s") from None
            finally:
                stop(process)
        if process.returncode:
            raise BenchError(f"{' '.join(command)} ended with {process.returncode}:\n{_tail(output + errors)}")
        return output

    def start(self, *command: str, core: int | None = None, **environ: str) -> "subprocess.Popen[bytes]":
        """A command that goes on; its output goes to the log."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*_pinned(core), *command],
                cwd=self.folder,
                env=self.environ | environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @contextmanager
    def serve(
        self, *command: str, ready: Callable[[], bool], core: int | None = None, **environ: str
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """A server, once it is ready; stopped at the end."""
        process = self.start(*command, core=core, **environ)

        def is_ready() -> bool:
            if process.poll() is not None:
                raise BenchError(f"{command[0]} ended before it was ready: {self.last_lines()}")
            return ready()

        try:
            try:
                eventually(is_ready, within=READY_SECONDS)
            except TooLate:
                raise BenchError(f"{command[0]} was not ready in {READY_SECONDS:g} s: {self.last_lines()}") from None
            yield process
        finally:
            stop(process)

    def last_lines(self) -> str:
        """The end of the log."""
        return _tail(self.log.read_text(errors="replace"))


def stop(process: "subprocess.Popen[bytes] | subprocess.Popen[str]", how: signal.Signals = signal.SIGTERM) -> None:
    """End a process as a terminal does, with its group (make passes Ctrl-C on to nobody), at last by force."""
    if process.poll() is None:
        os.killpg(process.pid, how)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    with suppress(OSError):  # usually nothing is left of the group
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore further signals while tidying up, so that nothing is left behind."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def first_line(*command: str) -> str | None:
    """The first line that a program prints; None if it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return (done.stdout.strip().splitlines() or [""])[0]


def answers(port: int, path: str = "/") -> Callable[[], bool]:
    """Whether a request to this port of loopback is answered with 200."""

    def ask() -> bool:
        try:
            return httpx.get(f"http://{HOST}:{port}{path}", timeout=2, verify=False).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    return ask


def family(pid: int) -> list[psutil.Process]:
    """A process and all of its descendants; empty if it has ended."""
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.Error:
        return []


def pin(pid: int, core: int) -> None:
    """Keep a process on one core, with all of its threads and descendants, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        return
    for process in family(pid):
        with suppress(OSError, psutil.Error):  # it has just ended
            for thread in process.threads():
                os.sched_setaffinity(thread.id, {core})


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Keep this process on one core meanwhile, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def busy_seconds(pid: int) -> float:
    """The processor time that a process and its descendants have used so far."""
    busy = 0.0
    for process in family(pid):
        with suppress(psutil.Error):
            busy += sum(process.cpu_times()[:2])
    return busy


def memory_bytes(pid: int, *, without: tuple[str, ...] = ()) -> int | None:
    """The proportional share of a process and its descendants, except programs of these names; None if not known."""
    if not psutil.LINUX:
        return None
    used = 0
    for process in family(pid):
        with suppress(psutil.Error):
            used += 0 if process.name() in without else process.memory_full_info().pss
    return used


def _pinned(core: int | None) -> list[str]:
    taskset = shutil.which("taskset")
    return [taskset, "-c", str(core)] if core is not None and taskset else []


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-SHOWN_LINES:])

"""Runs the programs of an environment: each in the copy, in a session of its own, so that Ctrl-C reaches only us."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.errors import BenchError

COMMAND_SECONDS = 900.0  # the first installation and the first images, on a slow line
STOP_SECONDS = 60.0
SHOWN_LINES = 15


class Shell:
    """Somebody's terminal: a folder, an environment, and a log of what the commands in it say."""

    def __init__(self, folder: Path, environ: Mapping[str, str], log: Path) -> None:
        self.folder = folder
        self.environ = dict(environ)
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")

    def run(self, *command: str) -> str:
        """What a command prints; raises BenchError with the end of it if it fails."""
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{' '.join(command)} took longer than {COMMAND_SECONDS:g} s") from None
        finally:
            stop(process, signal.SIGTERM)
        if process.returncode:
            raise BenchError(f"{' '.join(command)} ended with {process.returncode}:\n{_tail(output)}")
        return output

    def start(self, *command: str) -> "subprocess.Popen[bytes]":
        """A command that goes on; what it says goes to the log."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def last_lines(self) -> str:
        """The end of the log."""
        return _tail(self.log.read_text(errors="replace"))


def stop(process: "subprocess.Popen[bytes] | subprocess.Popen[str] | None", how: signal.Signals) -> None:
    """End a process of ours as a terminal does, with all of its group: make passes Ctrl-C on to nobody."""
    if process is None or process.poll() is not None:
        return
    os.killpg(process.pid, how)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Nothing may be left behind, so tidying up goes on after a second Ctrl-C."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before: dict[signal.Signals, Callable[..., object] | int | None] = {
        number: signal.signal(number, signal.SIG_IGN) for number in numbers
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def first_line(command: Sequence[str]) -> str | None:
    """What a program says in its first line, None if it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return (done.stdout.strip().splitlines() or [""])[0]


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-SHOWN_LINES:])

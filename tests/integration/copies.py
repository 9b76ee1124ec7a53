"""Copies of the project in which `make up` runs, for the tests of the local runner."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, TypeVar

import httpx

from local import running
from tests.ports import free_port
from tests.services import PROJECT
from tests.waiting import eventually

PARTS = ("common", "db", "vote", "worker", "result", "local")
NAMES = {"postgres", "redis", "vote", "worker", "result"}
READY_SECONDS = 90.0
STOP_SECONDS = 10.0
RUN_SECONDS = 60.0


class Up:
    """A copy of the project in which `python -m local up` runs all parts, or the named ones."""

    command: ClassVar[tuple[str, ...]] = ("local", "up")

    def __init__(self, project: Path, *parts: str, **environ: str) -> None:
        self.project = project
        self.parts = set(parts) or NAMES
        self.ports = {"VOTE_PORT": free_port(), "RESULT_PORT": free_port(), "WORKER_PORT": free_port()}
        self.data = project / ".data"
        kept = {name: value for name, value in os.environ.items() if not name.endswith(("_URL", "DATA_DIR"))}
        self.environ = kept | {name: str(port) for name, port in self.ports.items()} | environ
        self.lines: list[str] = []
        self._is_enough = threading.Event()
        self.process = self._start("-m", *self.command, *parts)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def run(
        self, *arguments: str, stdin: str = "", module: str = "local", within: float = RUN_SECONDS
    ) -> tuple[int, str]:
        """The exit code and the output of another command in the copy."""
        return self.run_python("-m", module, *arguments, stdin=stdin, within=within)

    def run_python(self, *arguments: str, stdin: str = "", within: float = RUN_SECONDS) -> tuple[int, str]:
        """The exit code and the output of a Python in the copy."""
        with self._start(*arguments) as process:
            output, _ = process.communicate(stdin, timeout=within)
        return process.returncode, output

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        return self._start_program(sys.executable, *arguments)

    def _start_program(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.project,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def until_line(self, pattern: str, *, after: int = 0) -> str:
        """The first line with this pattern."""
        try:
            return eventually(
                lambda: next((line for line in self.lines[after:] if re.search(pattern, line)), ""),
                within=READY_SECONDS,
                saying=f"a line with {pattern!r}",
            )
        except AssertionError as error:
            raise AssertionError(f"{error}; there is:\n{''.join(self.lines)}") from None

    def until_ready(self) -> None:
        self.until_line(r"  .* (is|are) ready \(\d+\.\d s\)")

    def facts(self) -> running.Running:
        """What the other commands know of it."""
        facts = eventually(self._complete_facts, within=READY_SECONDS)
        assert facts is not None
        return facts

    def family(self) -> set[int]:
        """Every process that was started by it, however indirectly."""
        return descendants(self.process.pid)

    def vote(self, option: str) -> int:
        answer = httpx.post(f"{self.facts().vote_url}/api/votes", json={"vote": option}, timeout=10)
        return answer.status_code

    def tally(self) -> int:
        return int(httpx.get(f"{self.facts().result_url}/api/tally", timeout=10).json()["total"])

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(STOP_SECONDS)
        self.reader.join(5)

    def go_away(self) -> None:
        """Close the reader's end of the log, as `head` does, after the next line."""
        self._is_enough.set()

    def close(self) -> None:
        """End what a failed test has left, and it must be little."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.reader.join(10)
        if self.process.stdin:
            self.process.stdin.close()

    def _complete_facts(self) -> running.Running | None:
        facts = running.read(self.data)
        return facts if facts and set(facts.pids) >= self.parts else None

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            while not self._is_enough.is_set() and (line := output.readline()):
                self.lines.append(line)


U = TypeVar("U", bound=Up)


@contextmanager
def ready(up: U) -> Iterator[U]:
    """It is ready, and ends afterwards."""
    try:
        up.until_ready()
        yield up
    finally:
        up.close()


def copy_of_the_project(folder: Path) -> Path:
    for part in PARTS:
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def processes() -> dict[int, int]:
    """The parent of every process that lives; one that has ended but was not yet asked for its code doesn't."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    return {int(process): int(parent) for process, parent, state in rows if not state.startswith("Z")}


def alive() -> set[int]:
    return set(processes())


def descendants(ancestor: int) -> set[int]:
    parents = processes()
    found = {ancestor}
    while more := {process for process, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {ancestor}

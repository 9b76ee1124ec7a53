"""Nix commands in a copy of the project, as somebody who has just cloned it types them."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import httpx

from tests.ports import free_ports
from tests.repository.tree import PROJECT, project_files
from tests.system import processes_of
from tests.waiting import eventually

# What our own Python, make or .env may have set, and a new terminal has not.
NOT_INHERITED = {"DATA_DIR", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON", "PYTHONPATH", "VENV", "VIRTUAL_ENV"}

COMMAND_SECONDS = 500.0
READY_SECONDS = 200.0  # the first time it installs what `make up` needs
STOP_SECONDS = 20.0


def nix_program() -> str | None:
    """The `nix` to run: TALLYHO_NIX names another, which takes the same arguments."""
    return os.environ.get("TALLYHO_NIX") or shutil.which("nix")


def copy_of_the_project(folder: Path) -> Path:
    """A clone that has what is not committed yet as well; Nix sees only what git knows."""
    for path in project_files():
        target = folder / path.relative_to(PROJECT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@dataclass(frozen=True)
class Flake:
    """A checkout, and the `nix` that is tried in it."""

    nix: str
    folder: Path

    def run(self, *arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
        """Run `nix ARGUMENTS` to its end; returns its exit code, output and errors."""
        done = subprocess.run(
            [self.nix, *arguments],
            cwd=cwd or self.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def in_shell(self, *command: str) -> str:
        """What a command prints in the development shell, in which it must succeed."""
        code, output, errors = self.run("develop", "-c", *command)
        assert code == 0, f"{output}\n{errors}"
        return output

    def at_a_terminal(self, *arguments: str, typed: str) -> str:
        """What a Nix command shows to somebody who types."""
        keyboard, terminal = os.openpty()
        process = subprocess.Popen(
            [self.nix, *arguments],
            cwd=self.folder,
            env=environment() | {"TERM": "dumb"},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        os.write(keyboard, typed.encode())
        with os.fdopen(keyboard, "rb", buffering=0) as screen:
            shown = b"".join(iter(lambda: _read(screen), b""))
        assert process.wait(COMMAND_SECONDS) == 0
        return shown.decode(errors="replace")

    @contextmanager
    def up(self, data: Path, *arguments: str, **variables: str) -> Iterator["Up"]:
        """A Nix command that runs the whole system on ports of its own, ended at the end if it is not over by then."""
        vote, result, worker = free_ports(3)
        ports = {"VOTE_PORT": str(vote), "RESULT_PORT": str(result), "WORKER_PORT": str(worker)}
        data.mkdir(parents=True)
        with (data / "up.log").open("wb") as log:
            process = subprocess.Popen(
                [self.nix, *arguments],
                cwd=self.folder,
                env=environment() | ports | {"DATA_DIR": str(data)} | variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        up = Up(process, data, f"http://127.0.0.1:{vote}", f"http://127.0.0.1:{result}")
        try:
            yield up
        finally:
            if process.poll() is None:
                up.end(signal.SIGTERM)


@dataclass(frozen=True)
class Up:
    """A system that a Nix command runs."""

    process: subprocess.Popen[bytes]
    data: Path
    vote_url: str
    result_url: str

    def log(self) -> str:
        return (self.data / "up.log").read_text(errors="replace")

    def cast(self, option: str) -> None:
        """Cast a vote as soon as that is possible."""

        def cast() -> bool:
            assert self.process.poll() is None, self.log()
            answer = httpx.post(f"{self.vote_url}/api/votes", json={"vote": option}, timeout=10)
            return answer.status_code == httpx.codes.ACCEPTED

        eventually(cast, within=READY_SECONDS, saying="a vote is accepted", despite=(httpx.TransportError,))

    def total(self) -> int:
        """How many votes the dashboard shows; 0 while it starts."""
        try:
            total: int = httpx.get(f"{self.result_url}/api/tally", timeout=10).json().get("total", 0)
        except httpx.TransportError:
            return 0
        return total

    def end(self, how: signal.Signals) -> None:
        """Send a signal as a terminal does, to the whole group; nothing may be left afterwards."""
        os.killpg(self.process.pid, how)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise AssertionError(f"it did not stop in {STOP_SECONDS:g} s:\n{self.log()}") from None
        eventually(lambda: not processes_of(self.data), within=STOP_SECONDS, saying="no process is left")


def environment() -> dict[str, str]:
    """Our environment without what a new terminal would not have."""
    kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    return {name: value for name, value in kept.items() if not name.endswith("_URL")}


def _read(screen: FileIO) -> bytes:
    try:
        return screen.read(4096)
    except OSError:  # Linux says so when the other end is closed
        return b""

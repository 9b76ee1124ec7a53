"""The ways to run the system while one works at it, each in a copy of the project: `make up`, and plain Hypercorn."""

import shutil
import signal
import subprocess
from pathlib import Path

from bench.edits.edit import PACKAGE, REQUIREMENT, Edit
from bench.processes import Shell, first_line, memory_bytes, stop
from bench.settings import HOST, PROJECT, BenchError, clean_environment
from local import running
from local.ports import free_port
from proof.state import Where
from proof.waiting import TooLate, eventually

TITLES = {
    "tilt": "Tilt",
    "compose": "Compose, bind mounts",
    "up": "`make up`",
    "hypercorn": "plain `hypercorn --reload`",
}
ALL = ("vote", "worker", "result", "template", REQUIREMENT, "locust", "broken")
PORTS = ("VOTE_PORT", "RESULT_PORT", "WORKER_PORT", "LOADTEST_PORT", "REDIS_PORT", "DB_PORT", "PROXY_PORT", "TILT_PORT")
FACTS_SECONDS = 60.0


class Environment:
    """What the ways have in common; each overrides what is different with it."""

    edits: tuple[str, ...] = ALL  # the names of those that it takes up
    requirement_files: tuple[str, ...] = ("vote/requirements.txt",)  # what somebody edits who needs one more package
    programs: tuple[str, ...] = ()  # on PATH, without which this can't be measured
    must_succeed: tuple[tuple[str, ...], ...] = ()  # commands, likewise

    def __init__(self, folder: Path, log: Path, **environ: str) -> None:
        self.folder = folder
        self.ports = {name: str(free_port(HOST)) for name in PORTS}
        self.shell = Shell(folder, clean_environment() | self.ports | environ, log)
        self.processes: list[subprocess.Popen[bytes]] = []

    @classmethod
    def missing(cls) -> str:
        """Why this can't be measured here; empty if it can."""
        if absent := [program for program in cls.programs if not shutil.which(program)]:
            return f"no {absent[0]} on PATH"
        failing = [" ".join(command) for command in cls.must_succeed if first_line(*command) is None]
        return f"`{failing[0]}` fails" if failing else ""

    def prepare(self) -> None:
        """Make images or install packages, so that starting is all there is to the start."""
        raise NotImplementedError

    def start(self) -> None:
        """Start, without waiting until it answers."""
        raise NotImplementedError

    def run(self, *command: str, **environ: str) -> None:
        """Start a command that goes on until `stop`."""
        self.processes.append(self.shell.start(*command, core=None, **environ))

    def check(self) -> None:
        """Raise BenchError if a command has failed, so that waiting is in vain."""
        for process in self.processes:
            if process.poll():
                raise BenchError(f"{process.args!r} ended with {process.returncode}:\n{self.shell.last_lines()}")

    def settle(self) -> None:
        """Return when the start has finished; what has counted a vote usually has."""

    def start_load_page(self) -> None:
        """Start Locust's page, unless it runs by itself."""

    def stop(self) -> None:
        """Stop, and leave nothing: no process, container, volume or image."""
        while self.processes:
            stop(self.processes.pop(), signal.SIGINT)

    def url(self, service: str) -> str:
        """The address of vote, worker, result or loadtest."""
        return f"http://{HOST}:{self.ports[f'{service.upper()}_PORT']}"

    def take_up(self, edit: Edit) -> None:
        """What one must type after this edit; nothing, where it is noticed."""

    def forget(self, edit: Edit) -> None:
        """Undo what an edit has brought besides itself, for example a package that was installed."""

    def memory(self) -> dict[str, int]:
        """The bytes it needs now, by what needs them; empty where that is not known."""
        raise NotImplementedError

    def where(self) -> Where:
        """Where the audit looks."""
        raise NotImplementedError


class Up(Environment):
    """`make up`: the processes on this machine, and `make loadtest RELOAD=1` beside them."""

    requirement_files = ("vote/requirements.txt", "local/requirements.txt")
    programs: tuple[str, ...] = ("make",)

    def __init__(self, folder: Path, log: Path) -> None:
        # kept from one run to the next, because installing takes a minute
        self.venv = log.parent.parent / "venv"
        super().__init__(folder, log, VENV=str(self.venv), DATA_DIR=str(folder / ".data"))

    def prepare(self) -> None:
        # not `make install`: what the checks need has the package that is to be missing
        self.shell.run("make", *(f"{self.venv}/.{stamp}-installed" for stamp in ("local", "loadtest")))
        self._uninstall()

    def start(self) -> None:
        self.run("make", "up")

    def start_load_page(self) -> None:
        self.run("make", "loadtest", "RELOAD=1")

    def take_up(self, edit: Edit) -> None:
        # as every target does, it installs first what a requirements file has that is newer than the environment
        if edit.name == REQUIREMENT:
            self.shell.run("make", "restart", "PART=vote")

    def forget(self, edit: Edit) -> None:
        if edit.name == REQUIREMENT:
            self._uninstall()

    def memory(self) -> dict[str, int]:
        used = sum(memory_bytes(process.pid) or 0 for process in self.processes)
        return {"processes": used} if used else {}

    def where(self) -> running.Running:
        """The addresses, as soon as they are known."""
        try:
            found = eventually(lambda: running.read(self.folder / ".data"), within=FACTS_SECONDS)
        except TooLate:
            raise BenchError(f"make up has not said what runs: {self.shell.last_lines()}") from None
        assert found is not None
        return found

    def _uninstall(self) -> None:
        self.shell.run(f"{self.venv}/bin/python", "-m", "pip", "uninstall", "--yes", "--quiet", PACKAGE)


class PlainHypercorn(Up):
    """`make up` with the vote service under Hypercorn's own command and reloader, for comparison."""

    edits = ("vote", "broken")  # the reloader watches Python's modules of this one service

    def start(self) -> None:
        self.run("make", "up", "PARTS=postgres redis worker result")
        bind = f"{HOST}:{self.ports['VOTE_PORT']}"
        command = ("-m", "hypercorn", "bench.edits.asgi:app", "--reload", "--bind", bind)
        self.run(f"{self.venv}/bin/python", *command, REDIS_URL=self.where().redis_url)

    def start_load_page(self) -> None:
        """Not needed: the Locust file is not edited."""


def copy_of_the_project(folder: Path) -> Path:
    """A copy of what git knows and of what it will know, with the times of the files."""
    command = ["git", "-c", f"safe.directory={PROJECT}", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise BenchError("git can't list the project's files: run this in a clone") from None
    shutil.rmtree(folder, ignore_errors=True)
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    return folder


def replace_in(file: Path, old: str, new: str) -> None:
    """Change a file of the copy; raises BenchError if there is nothing to change."""
    text = file.read_text(encoding="utf-8")
    if old not in text:
        raise BenchError(f"{file.name} has no {old!r}: mend bench/, which looks for it")
    file.write_text(text.replace(old, new), encoding="utf-8")

"""`make up`: the processes on this machine, and `make loadtest RELOAD=1` beside them."""

import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.commands import Shell, stop
from bench.edits import PACKAGE, REQUIREMENT, Edit
from bench.memory import of_processes
from bench.settings import inherited
from bench.watch import PageWatch, Sign, Watch
from local.ports import free_port

HOST = "127.0.0.1"
PORTS = ("VOTE_PORT", "RESULT_PORT", "WORKER_PORT", "LOADTEST_PORT")


def missing() -> str:
    """Why this can't be measured here; empty if it can."""
    return "" if shutil.which("make") else "no make on PATH"


class Up:
    """The system without containers."""

    requirement_files: tuple[str, ...] = ("vote/requirements.txt", "local/requirements.txt")

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder
        # kept from one run to the next, because installing takes a minute
        self._venv = log.parent.parent / "venv"
        self._data = folder / ".data"
        self._ports = {name: str(free_port(HOST)) for name in PORTS}
        own = {"VENV": str(self._venv), "DATA_DIR": str(self._data)}
        self._shell = Shell(folder, inherited() | self._ports | own, log)
        self._system: subprocess.Popen[bytes] | None = None
        self._page: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        # not `make install`: what the checks need has the package that is to be missing
        self._shell.run("make", *(f"{self._venv}/.{stamp}-installed" for stamp in ("local", "loadtest")))
        self._uninstall()

    def start(self) -> None:
        self._system = self._shell.start("make", "up")

    def problem(self) -> str:
        if self._system is not None and self._system.poll() is not None:
            return f"make up ended with {self._system.returncode}:\n{self._shell.last_lines()}"
        return ""

    def settle(self) -> None:
        """Nothing: what has counted a vote has started."""

    def start_load_page(self) -> None:
        self._page = self._shell.start("make", "loadtest", "RELOAD=1")

    def stop(self) -> None:
        stop(self._page, signal.SIGINT)
        stop(self._system, signal.SIGINT)

    def url(self, service: str) -> str:
        return f"http://{HOST}:{self._ports[f'{service.upper()}_PORT']}"

    @contextmanager
    def watch(self, service: str, path: str, text: str, *, there: bool) -> Iterator[Watch]:
        yield PageWatch(Sign(self.url(service) + path, text, there))

    def take_up(self, edit: Edit) -> None:
        # as every target does, it installs first what a requirements file has that is newer than the environment
        if edit.name == REQUIREMENT:
            self._shell.run("make", "restart", "PART=vote")

    def forget(self, edit: Edit) -> None:
        if edit.name == REQUIREMENT:
            self._uninstall()

    def memory(self) -> dict[str, int]:
        assert self._system is not None
        used = of_processes(self._system.pid)
        return {"processes": used} if used is not None else {}

    def where(self) -> Mapping[str, str]:
        return {"DATA_DIR": str(self._data)}

    def _uninstall(self) -> None:
        self._shell.run(f"{self._venv}/bin/python", "-m", "pip", "uninstall", "--yes", "--quiet", PACKAGE)

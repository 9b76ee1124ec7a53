"""`tilt up`: Tilt puts edits into the containers, and runs the unit tests beside."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from bench.commands import stop
from bench.compose import BUILT
from bench.containers import MARK, Containers, missing_docker
from bench.edits import PACKAGE, REQUIREMENT, Edit
from bench.environment import replace_in
from bench.errors import BenchError
from bench.memory import of_processes
from bench.watch import Watch

SETTLE_SECONDS = 300.0
POLL_SECONDS = 0.5
DONE = ("ok", "error", "none", "not_applicable")


def missing() -> str:
    """Why this can't be measured here; empty if it can."""
    return missing_docker() or ("" if shutil.which("tilt") else "no tilt on PATH")


class Tilt:
    """Tilt with the project's Tiltfile."""

    requirement_files: tuple[str, ...] = ("vote/requirements.txt",)

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder
        self._containers = Containers(folder, log)
        self._process: subprocess.Popen[bytes] | None = None
        replace_in(folder / "Tiltfile", "'tallyho-%s-tilt'", f"'tallyho-%s-{MARK}'")
        # the checks that Tilt runs need what is installed here already
        (folder / ".venv").symlink_to(sys.prefix)

    def prepare(self) -> None:
        self._containers.remove()
        self._containers.compose("pull", "--quiet", "--policy", "missing", "redis", "db")
        # the layers that Tilt's own images are made of; by these names they are removed at the end
        replace_in(self.folder / "docker-compose.override.yml", ":dev\n", f":{MARK}\n")
        self._containers.compose("--profile", "load", "build", *BUILT)

    def start(self) -> None:
        # a Tilt built from source serves its page through a second port: any free one
        self._process = self._containers.shell.start("tilt", "up", "--stream", "--webdev-port=0")

    def problem(self) -> str:
        if self._process is not None and self._process.poll() is not None:
            return f"tilt up ended with {self._process.returncode}:\n{self._containers.shell.last_lines()}"
        return ""

    def settle(self) -> None:
        end = time.monotonic() + SETTLE_SECONDS
        while busy := self._busy():
            if time.monotonic() > end:
                raise BenchError(f"after {SETTLE_SECONDS:g} s Tilt is still busy with {', '.join(busy)}")
            time.sleep(POLL_SECONDS)

    def start_load_page(self) -> None:
        """Nothing: Tilt has started it."""

    def stop(self) -> None:
        stop(self._process, signal.SIGINT)
        self._containers.remove()

    def url(self, service: str) -> str:
        return self._containers.url(service)

    def watch(self, service: str, path: str, text: str, *, there: bool) -> AbstractContextManager[Watch]:
        return self._containers.watch(service, path, text, there=there)

    def take_up(self, edit: Edit) -> None:
        """Nothing: Tilt notices it."""

    def forget(self, edit: Edit) -> None:
        if edit.name == REQUIREMENT:
            self._containers.exec("vote", "pip", "--python", "/venv/bin/python", "uninstall", "--yes", PACKAGE)

    def memory(self) -> dict[str, int]:
        assert self._process is not None
        own = of_processes(self._process.pid)
        return {"containers": self._containers.memory()} | ({"Tilt": own} if own is not None else {})

    def where(self) -> Mapping[str, str]:
        return self._containers.where()

    def _busy(self) -> list[str]:
        """The resources whose first update is under way; those that are started by hand are none."""
        if problem := self.problem():
            raise BenchError(problem)
        listed = self._containers.shell.run(
            "tilt", "get", "uiresources", "-o", "json", "--port", self._containers.ports["TILT_PORT"]
        )
        states = {item["metadata"]["name"]: item.get("status", {}) for item in json.loads(listed)["items"]}
        return [name for name, status in states.items() if status.get("updateStatus", "none") not in DONE]

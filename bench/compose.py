"""Plain `docker compose up`: the files of this folder are mounted into containers that start again on edits."""

import signal
import subprocess
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from bench.commands import COMMAND_SECONDS, stop
from bench.containers import MARK, Containers, missing_docker
from bench.edits import REQUIREMENT, Edit
from bench.environment import replace_in
from bench.errors import BenchError
from bench.watch import Watch

BUILT = ("vote", "worker", "result", "loadtest")


def missing() -> str:
    """Why this can't be measured here; empty if it can."""
    return missing_docker()


class Compose:
    """Compose with docker-compose.override.yml."""

    requirement_files: tuple[str, ...] = ("vote/requirements.txt",)

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder
        self._containers = Containers(folder, log)
        self._process: subprocess.Popen[bytes] | None = None
        replace_in(folder / "docker-compose.override.yml", ":dev\n", f":{MARK}\n")

    def prepare(self) -> None:
        self._containers.remove()  # what an earlier run that was killed has left
        self._containers.compose("pull", "--quiet", "--policy", "missing", "redis", "db")
        self._containers.compose("--profile", "load", "build", *BUILT)

    def start(self) -> None:
        self._process = self._containers.shell.start("docker", "compose", "up", "--detach")

    def problem(self) -> str:
        if self._process is not None and self._process.poll():
            return f"docker compose up ended with {self._process.returncode}:\n{self._containers.shell.last_lines()}"
        return ""

    def settle(self) -> None:
        assert self._process is not None
        self._process.wait(COMMAND_SECONDS)
        if problem := self.problem():
            raise BenchError(problem)

    def start_load_page(self) -> None:
        self._containers.compose("--profile", "load", "up", "--detach", "--wait", "loadtest")

    def stop(self) -> None:
        stop(self._process, signal.SIGTERM)
        self._containers.remove()

    def url(self, service: str) -> str:
        return self._containers.url(service)

    def watch(self, service: str, path: str, text: str, *, there: bool) -> AbstractContextManager[Watch]:
        return self._containers.watch(service, path, text, there=there)

    def take_up(self, edit: Edit) -> None:
        if edit.name == REQUIREMENT:
            self._containers.compose("up", "--detach", "--build", "vote")

    def forget(self, edit: Edit) -> None:
        """Nothing: the image of before is taken again."""

    def memory(self) -> dict[str, int]:
        return {"containers": self._containers.memory()}

    def where(self) -> Mapping[str, str]:
        return self._containers.where()

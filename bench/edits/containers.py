"""The two ways with containers, each with a Compose project of its own: `docker compose up`, and `tilt up`."""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.edits.edit import PACKAGE, REQUIREMENT, Edit
from bench.edits.environments import Environment, replace_in
from bench.processes import COMMAND_SECONDS, memory_bytes
from bench.settings import HOST, BenchError
from proof.waiting import TooLate, eventually

PROJECT_NAME = "tallyho-dev-bench"
MARK = "dev-bench"  # in the name of every image, so that those of the project stay as they are
PARTS = ("vote", "worker", "result", "redis", "db")

UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
USED = re.compile(r"^(?P<name>\S+)\t(?P<value>[\d.]+)(?P<unit>B|KiB|MiB|GiB) /", re.MULTILINE)
STATS = ("docker", "stats", "--no-stream", "--format", "{{.Name}}\t{{.MemUsage}}")

STATS_SECONDS = 30.0
SETTLE_SECONDS = 300.0
DONE = ("ok", "error", "none", "not_applicable")


@dataclass(frozen=True)
class Addresses:
    """Where the audit looks."""

    result_url: str
    redis_url: str
    database_url: str


class Containers(Environment):
    """A Compose project in a folder, with ports of its own; the worker's is published as well."""

    programs: tuple[str, ...] = ("docker",)
    must_succeed = (("docker", "info"), ("docker", "compose", "version"))

    def __init__(self, folder: Path, log: Path) -> None:
        super().__init__(folder, log, COMPOSE_PROJECT_NAME=PROJECT_NAME, DO_NOT_TRACK="1")
        worker = "\n  worker:\n"
        replace_in(folder / "docker-compose.yml", worker, f'{worker}    ports: ["{HOST}:${{WORKER_PORT}}:9100"]\n')
        replace_in(folder / "docker-compose.override.yml", ":dev\n", f":{MARK}\n")

    def prepare(self) -> None:
        self.remove()  # what an earlier run that was killed has left
        self.compose("pull", "--quiet", "--policy", "missing", "redis", "db")
        self.compose("--profile", "load", "build", "vote", "worker", "result", "loadtest")

    def stop(self) -> None:
        super().stop()
        self.remove()

    def compose(self, *arguments: str) -> str:
        """The output of `docker compose ARGUMENTS`."""
        return self.shell.run("docker", "compose", *arguments)

    def remove(self) -> None:
        """Remove containers, networks, volumes, and the images that were made for this."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "5")
        listed = self.shell.run("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
        if images := [name for name in listed if name.startswith("tallyho-") and MARK in name]:
            self.shell.run("docker", "image", "rm", "--force", *images)

    def memory(self) -> dict[str, int]:
        names = [f"{PROJECT_NAME}-{part}-1" for part in PARTS]
        try:
            # a busy Docker says 0 when it could not look in time
            used = eventually(lambda: memory_of_containers(self.shell.run(*STATS), names), within=STATS_SECONDS)
        except TooLate:
            return {}
        return {"containers": used}

    def where(self) -> Addresses:
        database = f"postgresql://postgres:password@{HOST}:{self.ports['DB_PORT']}/votes"
        return Addresses(self.url("result"), f"redis://{HOST}:{self.ports['REDIS_PORT']}", database)


class Compose(Containers):
    """`docker compose up` with docker-compose.override.yml, which mounts the files of this folder."""

    def start(self) -> None:
        self.run("docker", "compose", "up", "--detach")

    def settle(self) -> None:
        self.processes[0].wait(COMMAND_SECONDS)
        self.check()

    def start_load_page(self) -> None:
        self.compose("--profile", "load", "up", "--detach", "--wait", "loadtest")

    def take_up(self, edit: Edit) -> None:
        if edit.name == REQUIREMENT:
            self.compose("up", "--detach", "--build", "vote")


class Tilt(Containers):
    """`tilt up`, which puts edits into the containers, and runs the unit tests beside."""

    programs = ("docker", "tilt")

    def __init__(self, folder: Path, log: Path) -> None:
        super().__init__(folder, log)
        # the layers of the images that Compose builds are those of Tilt's own
        replace_in(folder / "Tiltfile", "'tallyho-%s-tilt'", f"'tallyho-%s-{MARK}'")
        # the checks that Tilt runs need what is installed here already
        (folder / ".venv").symlink_to(sys.prefix)

    def start(self) -> None:
        # a Tilt built from source serves its page through a second port: any free one
        self.run("tilt", "up", "--stream", "--webdev-port=0")

    def settle(self) -> None:
        try:
            eventually(lambda: not self._busy(), within=SETTLE_SECONDS)
        except TooLate:
            raise BenchError(f"after {SETTLE_SECONDS:g} s Tilt is still busy with {', '.join(self._busy())}") from None

    def forget(self, edit: Edit) -> None:
        if edit.name == REQUIREMENT:
            pip = ("pip", "--python", "/venv/bin/python", "uninstall", "--yes", PACKAGE)
            self.compose("exec", "-T", "vote", *pip)

    def memory(self) -> dict[str, int]:
        own = memory_bytes(self.processes[0].pid)
        return super().memory() | ({"Tilt": own} if own is not None else {})

    def _busy(self) -> list[str]:
        """The resources whose first update is under way, without those that are started by hand."""
        self.check()
        listed = json.loads(
            self.shell.run("tilt", "get", "uiresources", "-o", "json", "--port", self.ports["TILT_PORT"])
        )
        states = {item["metadata"]["name"]: item.get("status", {}) for item in listed["items"]}
        return [name for name, status in states.items() if status.get("updateStatus", "none") not in DONE]


def memory_of_containers(stats: str, names: list[str]) -> int:
    """The bytes that these containers use, from what `docker stats` prints."""
    used = {found["name"]: float(found["value"]) * UNITS[found["unit"]] for found in USED.finditer(stats)}
    return round(sum(used[name] for name in names))

"""What the two environments with containers share: a Compose project of its own, and what is asked of it."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.commands import Shell, first_line
from bench.memory import STATS, of_containers
from bench.settings import inherited
from bench.watch import PageWatch, Sign, Watch, from_inside
from local.ports import free_port

PROJECT_NAME = "tallyho-dev-bench"
MARK = "dev-bench"  # in the name of every image, so that those of the project stay as they are
PORTS = ("VOTE_PORT", "RESULT_PORT", "REDIS_PORT", "DB_PORT", "LOADTEST_PORT", "PROXY_PORT", "TILT_PORT")
PARTS = ("vote", "worker", "result", "redis", "db")
INSIDE = {"worker": 9100}  # not published
LOOPBACK = "127.0.0.1"


def missing_docker() -> str:
    """Why there are no containers here; empty if there are."""
    if not shutil.which("docker"):
        return "no docker on PATH"
    for command in (("docker", "info"), ("docker", "compose", "version")):
        if first_line(command) is None:
            return f"`{' '.join(command)}` fails"
    return ""


class Containers:
    """The Compose project in a folder, with ports of its own."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.ports = {name: str(free_port(LOOPBACK)) for name in PORTS}
        own = {"COMPOSE_PROJECT_NAME": PROJECT_NAME, "COMPOSE": PROJECT_NAME, "DO_NOT_TRACK": "1"}
        self.shell = Shell(folder, inherited() | self.ports | own, log)

    def compose(self, *arguments: str) -> str:
        """What `docker compose ARGUMENTS` prints."""
        return self.shell.run("docker", "compose", *arguments)

    def exec(self, service: str, *command: str) -> str:
        """What a command in a container prints."""
        return self.compose("exec", "-T", service, *command)

    def url(self, service: str) -> str:
        """Where this machine reaches a service."""
        return f"http://{LOOPBACK}:{self.ports[f'{service.upper()}_PORT']}"

    @contextmanager
    def watch(self, service: str, path: str, text: str, *, there: bool) -> Iterator[Watch]:
        """Watch a page of a service; from inside, where its port is not published."""
        if service not in INSIDE:
            yield PageWatch(Sign(self.url(service) + path, text, there))
            return
        sign = Sign(f"http://{LOOPBACK}:{INSIDE[service]}{path}", text, there)
        with from_inside(sign, self.shell, "docker", "compose", "exec", "-T", service) as watch:
            yield watch

    def memory(self) -> int:
        """The bytes of the five containers of the system."""
        return of_containers(self.shell.run(*STATS), [f"{PROJECT_NAME}-{part}-1" for part in PARTS])

    def where(self) -> Mapping[str, str]:
        """For the audit, which asks Docker for the addresses."""
        return {"COMPOSE": PROJECT_NAME}

    def remove(self) -> None:
        """Containers, networks, volumes, and the images that were made for this."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "5")
        listed = self.shell.run("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
        images = [name for name in listed if name.startswith("tallyho-") and MARK in name]
        if images:
            self.shell.run("docker", "image", "rm", "--force", *images)

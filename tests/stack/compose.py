"""A Compose project of its own: a copy of the tree, free ports, and nothing left of it at the end."""

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ports import free_ports
from tests.stack.flake import environment
from tests.waiting import eventually

PORTS = (
    *("VOTE_PORT", "RESULT_PORT", "WORKER_PORT", "REDIS_PORT", "DB_PORT"),
    *("LOADTEST_PORT", "PROXY_PORT", "PROXY_VOTE_PORT", "TILT_PORT"),
)
COMMAND_SECONDS = 240.0  # an image without cached layers
BACK_SECONDS = 40.0

_numbers = itertools.count(1)


def need_docker() -> None:
    """Skip what needs Docker where there is none."""
    if not shutil.which("docker"):
        pytest.skip("no docker on PATH")
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode:
            pytest.skip(f"{' '.join(command)} fails: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")


def new_project(dashboards: int) -> dict[str, str]:
    """A name that no other project has, and ports that nobody listens on, as variables of the environment."""
    ports = free_ports(len(PORTS))
    settings = {name: str(port) for name, port in zip(PORTS, ports, strict=True)}
    if dashboards > 1:
        settings["RESULT_PORTS"] = free_range(dashboards, besides=ports)
    return {"COMPOSE_PROJECT_NAME": f"tallyho-test-{os.getpid()}-{next(_numbers)}", **settings}


def free_range(count: int, *, besides: list[int]) -> str:
    """So many free ports in a row, as Compose writes them."""

    def found() -> str:
        first = free_ports(1)[0]
        for port in range(first, first + count):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        return "" if {*range(first, first + count)} & {*besides} else f"{first}-{first + count - 1}"

    return eventually(found, within=10, despite=(OSError, OverflowError))


class Compose:
    """The files of a folder as one project; `files` are named as somebody would name them with -f."""

    def __init__(self, folder: Path, *files: str, dashboards: int = 1) -> None:
        self.folder = folder
        self.settings = new_project(dashboards)
        self.project = self.settings["COMPOSE_PROJECT_NAME"]
        self.environ = {**environment(), **self.settings}
        self._files = [word for file in files for word in ("-f", file)]

    @property
    def vote_url(self) -> str:
        return f"http://localhost:{self.settings['VOTE_PORT']}"

    @property
    def result_url(self) -> str:
        return f"http://localhost:{self.port('result', 5001)}"

    def run(self, *arguments: str, timeout: float = COMMAND_SECONDS) -> str:
        """What `docker compose ARGUMENTS` prints; it must succeed."""
        done = subprocess.run(
            ["docker", "compose", *self._files, *arguments],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def exec(self, service: str, *command: str, index: int = 1) -> str:
        """What a command prints in a container."""
        return self.run("exec", "-T", "--index", str(index), service, *command).strip()

    def port(self, service: str, inside: int, *, index: int = 1) -> int:
        """Where a port of a container is published."""
        return int(self.run("port", "--index", str(index), service, str(inside)).strip().rpartition(":")[2])

    def inspect(self, service: str, *, index: int = 1) -> dict[str, Any]:
        """What Docker knows of a container, running or not."""
        name = f"{self.project}-{service}-{index}"
        return inspect(name)

    def stop_and_start(self, service: str) -> tuple[float, dict[str, Any]]:
        """Ask it to end, and start it again; returns how many seconds the end took, and Docker's state of it then."""
        began = time.monotonic()
        self.run("stop", "--timeout", "30", service)
        seconds = time.monotonic() - began
        state = self.inspect(service)["State"]
        self.run("start", service)
        self.until_healthy(service)
        return seconds, {name: state[name] for name in ("Status", "ExitCode", "OOMKilled")}

    def tally(self) -> dict[str, int]:
        """The votes of each option, as the dashboard has them."""
        answer = httpx.get(f"{self.result_url}/api/tally", timeout=10).raise_for_status().json()
        return {option["key"]: option["votes"] for option in answer["options"]}

    def total(self) -> int:
        return sum(self.tally().values())

    def recount(self) -> int:
        """How many votes are in the table, one of each voter."""
        return int(self.exec("db", "psql", "-U", "postgres", "-d", "votes", "-Atc", "SELECT COUNT(*) FROM votes"))

    def queued(self, key: str = "votes") -> int:
        return int(self.exec("redis", "redis-cli", "llen", key))

    def kill(self, service: str, *, index: int = 1) -> None:
        """`kill -9` of a container's first process, by nobody Docker knows: its restart policy starts it again."""
        state = self.inspect(service, index=index)
        process = int(state["State"]["Pid"])
        cgroup = Path(f"/proc/{process}/cgroup")
        if os.geteuid() != 0 or not cgroup.exists() or state["Id"] not in cgroup.read_text():
            pytest.skip("only root can kill a container's process, and only on the machine that Docker runs on")
        os.kill(process, signal.SIGKILL)
        eventually(
            lambda: self.inspect(service, index=index)["RestartCount"] > state["RestartCount"],
            within=BACK_SECONDS,
            saying=f"Docker starts {service} again",
        )

    def is_healthy(self, service: str, *, index: int = 1) -> bool:
        state = self.inspect(service, index=index)["State"]
        return bool(state["Running"] and state["Health"]["Status"] == "healthy")

    def until_healthy(self, *services: str) -> None:
        for service in services:
            eventually(lambda: self.is_healthy(service), within=BACK_SECONDS, saying=f"{service} is healthy")  # noqa: B023

    def remove(self) -> None:
        """Everything: containers, networks, volumes."""
        self.run("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "3")


@contextmanager
def running(compose: Compose, *arguments: str) -> Iterator[Compose]:
    """The project, up and healthy; at the end nothing is left of it, whatever failed."""
    try:
        compose.run("up", "--detach", "--wait", "--build", "--quiet-pull", *arguments)
        yield compose
    finally:
        compose.remove()


def inspect(name: str) -> dict[str, Any]:
    """What Docker knows of a container, a volume or an image."""
    done = subprocess.run(["docker", "inspect", name], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found

"""The units of systemd/ in a real systemd, in a container that boots: systemd holds the sockets, whatever restarts."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.repository.tree import SERVICES
from tests.stack.compose import COMMAND_SECONDS, inspect
from tests.stack.crowd import demanding
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(400)

BOOT_SECONDS = 60.0
UNITS = [f"tallyho-{service}.{kind}" for service in SERVICES for kind in ("socket", "service")]

# What docs/operations.md says, on a Debian with all three services, Redis and PostgreSQL; but the ports are open to the
# machine outside. Debian's systemd needs cgroup 2, which a privileged container can mount whatever its machine has.
MACHINE = r"""
FROM python:3.13-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends systemd redis-server postgresql \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/tallyho
COPY vote/requirements.txt vote/
COPY worker/requirements.txt worker/
COPY result/requirements.txt result/
ENV PIP_CACHE_DIR=/var/cache/pip PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN --mount=type=cache,target=/var/cache/pip \
    python -m venv --without-pip .venv \
 && for part in vote worker result; do \
      pip --python .venv/bin/python install --require-hashes -r $part/requirements.txt; \
    done
COPY common ./common
COPY db ./db
COPY vote ./vote
COPY worker ./worker
COPY result ./result
COPY systemd /etc/systemd/system
RUN .venv/bin/python -m compileall -q common vote worker result \
 && echo 'DATABASE_URL=postgresql://postgres:password@localhost:5432/votes' > /etc/tallyho.env \
 && for unit in vote.socket=5000 result.socket=5001; do \
      folder=/etc/systemd/system/tallyho-${unit%=*}.d; \
      mkdir $folder; \
      printf '[Socket]\nListenStream=\nListenStream=0.0.0.0:%s\n' ${unit#*=} > $folder/port.conf; \
    done
CMD ["sh", "-c", "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec /lib/systemd/systemd"]
"""
SQL = "ALTER USER postgres PASSWORD 'password'; CREATE DATABASE votes"


@dataclass(frozen=True)
class Machine:
    """A container in which systemd is the first process."""

    name: str

    def run(self, *command: str) -> str:
        """What a command on it prints; it must succeed."""
        return run("docker", "exec", self.name, *command).strip()

    def url(self, port: int) -> str:
        """Where we reach one of its ports."""
        published = inspect(self.name)["NetworkSettings"]["Ports"][f"{port}/tcp"]
        return f"http://localhost:{published[0]['HostPort']}"

    def process(self, service: str) -> str:
        return self.run("systemctl", "show", "--property", "MainPID", "--value", f"tallyho-{service}.service")


def run(*command: str, text: str = "", folder: Path | None = None) -> str:
    done = subprocess.run(
        command, input=text, cwd=folder, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def machine(docker: None, tree: Path) -> Iterator[Machine]:
    """It has booted, and all units are enabled as the document says."""
    name = f"tallyho-test-systemd-{os.getpid()}"
    published = [word for port in (5000, 5001) for word in ("--publish", f"127.0.0.1:0:{port}")]
    run("docker", "build", "--quiet", "--tag", name, "--file", "-", ".", text=MACHINE, folder=tree)
    try:
        run("docker", "run", "--detach", "--name", name, "--privileged", "--tmpfs", "/run", *published, name)
        machine = Machine(name)
        asking = ("runuser", "-u", "postgres", "--", "psql", "-c")
        eventually(lambda: machine.run(*asking, "SELECT 1"), within=BOOT_SECONDS, despite=(AssertionError,))
        for statement in SQL.split("; "):
            machine.run(*asking, statement)
        machine.run("systemctl", "enable", "--now", *UNITS)
        yield machine
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
        subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


def test_the_units_are_without_fault(machine: Machine) -> None:
    assert machine.run("systemd-analyze", "verify", *UNITS) == ""
    assert machine.run("systemctl", "is-active", *UNITS).split() == ["active"] * len(UNITS)


def test_a_vote_is_counted(machine: Machine) -> None:
    assert httpx.post(f"{machine.url(5000)}/api/votes", json={"vote": "a"}, timeout=20).status_code == 202
    tally = f"{machine.url(5001)}/api/tally"
    eventually(lambda: httpx.get(tally, timeout=10).json()["total"] == 1, within=20)


@pytest.mark.parametrize("service", SERVICES)
def test_a_restart_keeps_the_socket_and_fails_no_request(machine: Machine, service: str) -> None:
    """Who comes meanwhile waits for the new process."""
    before = machine.process(service)
    with demanding(machine.url(5000), machine.url(5001)) as seen:
        machine.run("systemctl", "restart", f"tallyho-{service}")
        answered = seen["answered"]
        eventually(lambda: seen["answered"] > answered + 50, within=20)
    assert set(seen) == {"answered"}, seen
    assert machine.process(service) not in ("0", before)


def test_who_asks_starts_a_service_that_was_stopped(machine: Machine) -> None:
    # that the socket stays, which systemctl warns of, is what we want
    machine.run("systemctl", "stop", "--quiet", "tallyho-vote.service")
    assert machine.process("vote") == "0"
    assert "Cats" in httpx.get(machine.url(5000), timeout=20).text
    assert machine.process("vote") != "0"

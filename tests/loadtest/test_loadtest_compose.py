"""A system in containers: a `docker` that only logs its arguments, and answers as the real one does."""

import json
import os
from pathlib import Path

import pytest

from loadtest import LoadTestError
from loadtest.compose import addresses
from loadtest.drill import ContainerKiller, choose_killer
from loadtest.settings import target
from proof.kill import ProcessKiller

CONTAINERS = [
    {"Service": "vote", "Publishers": [{"URL": "127.0.0.1", "TargetPort": 5000, "PublishedPort": 5470}]},
    {"Service": "result", "Publishers": [{"URL": "192.0.2.7", "TargetPort": 5001, "PublishedPort": 5471}]},
    {"Service": "redis", "Publishers": [{"URL": "0.0.0.0", "TargetPort": 6379, "PublishedPort": 6470}]},
    {"Service": "db", "Publishers": [{"URL": "", "TargetPort": 5432, "PublishedPort": 5472}]},
    {"Service": "worker", "Publishers": [{"URL": "", "TargetPort": 9100, "PublishedPort": 0}]},
]
DOCKER = """#!/bin/sh
echo "$@" >> "{log}"
case "$*" in
  *--services*) printf 'vote\\nresult\\nredis\\ndb\\nworker\\n' ;;
  *" ps "*) cat "{listing}" ;;
  *nothing*) echo "no such service: nothing" >&2; exit 1 ;;
esac
"""


class Docker:
    """The `docker` on PATH."""

    def __init__(self, folder: Path) -> None:
        self.log, self.listing = folder / "asked", folder / "listing"
        self.answer("\n".join(json.dumps(one) for one in CONTAINERS))
        program = folder / "docker"
        program.write_text(DOCKER.format(log=self.log, listing=self.listing))
        program.chmod(0o755)

    def answer(self, text: str) -> None:
        self.listing.write_text(text)

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COMPOSE", "poll")
    for name in ("VOTE_URL", "RESULT_URL", "REDIS_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return Docker(tmp_path)


def test_the_addresses_are_those_that_docker_publishes(docker: Docker) -> None:
    assert addresses("poll") == {
        "VOTE_URL": "http://localhost:5470",
        "RESULT_URL": "http://192.0.2.7:5471",
        "REDIS_URL": "redis://localhost:6470",
        "DATABASE_URL": "postgresql://postgres:password@localhost:5472/votes",
    }
    assert docker.asked() == ["compose -p poll ps --format json"]


def test_a_list_of_an_older_compose_is_understood(docker: Docker) -> None:
    as_lines = addresses("poll")
    docker.answer(json.dumps(CONTAINERS))
    assert addresses("poll") == as_lines


def test_an_address_that_is_named_wins(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:else@db/votes")
    assert target().database_url == "postgresql://somebody:else@db/votes"
    assert target().vote_url == "http://localhost:5470"


def test_a_project_that_does_not_run_is_named_with_what_to_do(docker: Docker) -> None:
    docker.answer("")
    with pytest.raises(LoadTestError, match="no service of the Compose project poll runs: docker compose up"):
        addresses("poll")


def test_containers_are_killed_and_restarted(docker: Docker) -> None:
    killer = choose_killer()
    assert isinstance(killer, ContainerKiller)
    killer.check(killer.victims)
    killer.kill("db")
    assert docker.asked()[-2:] == ["compose -p poll kill -s KILL db", "compose -p poll start db"]


def test_a_victim_that_does_not_exist_is_named_before_the_drill(docker: Docker) -> None:
    with pytest.raises(
        LoadTestError, match="postgres: not running in poll; choose VICTIMS from: vote, result, redis, db"
    ):
        ContainerKiller("poll").check(("worker", "postgres"))


def test_an_error_of_docker_is_passed_on(docker: Docker) -> None:
    with pytest.raises(LoadTestError, match="no such service: nothing"):
        ContainerKiller("poll").kill("nothing")


def test_without_docker_the_error_says_so(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LoadTestError, match="there is no docker here"):
        addresses("poll")


def test_without_a_project_processes_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPOSE", "")
    assert isinstance(choose_killer(), ProcessKiller)

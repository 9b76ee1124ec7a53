"""Several services behind the proxy are replaced by new ones, one after the other, and nobody notices."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.compose import COMMAND_SECONDS, Compose, running
from tests.stack.crowd import demanding

pytestmark = pytest.mark.timeout(500)

SCALE = ("--scale", "vote=2", "--scale", "result=2")


@pytest.fixture(scope="module")
def proxied(docker: None, tree: Path) -> Iterator[Compose]:
    """Two vote and two result services behind the proxy, as for others."""
    compose = Compose(tree, "docker-compose.yml")
    compose.environ |= {"VOTE_PORTS": "0", "RESULT_PORTS": "0", "COMPOSE_PROFILES": "proxy", "LIMIT_PER_ADDRESS": "0"}
    with running(compose, *SCALE):
        yield compose


def containers(compose: Compose, service: str) -> set[str]:
    return set(compose.run("ps", "--quiet", service).split())


@pytest.mark.parametrize(("service", "count"), [("vote", 2), ("result", 2), ("worker", 1)])
def test_a_rolling_restart_replaces_every_container_and_fails_no_request(
    proxied: Compose, service: str, count: int
) -> None:
    before = containers(proxied, service)
    ballot, dashboard = (f"http://localhost:{proxied.settings[name]}" for name in ("PROXY_VOTE_PORT", "PROXY_PORT"))
    with demanding(ballot, dashboard) as seen:
        done = subprocess.run(
            ["make", "rolling-restart", f"PART={service}"],
            cwd=proxied.folder,
            env=proxied.environ,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(seen) == {"answered"}, seen
    after = containers(proxied, service)
    assert len(after) == len(before) == count
    assert not before & after


def test_without_a_name_it_says_what_to_type(tree: Path) -> None:
    done = subprocess.run(["sh", "docker/roll.sh"], cwd=tree, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert re.search(r"make rolling-restart PART=vote$", done.stderr.strip())

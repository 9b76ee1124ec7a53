"""A load test in containers, from Start to the audit's verdict, and what its images can import."""

import os
import subprocess
import sys

import pytest

from tests.repository.test_images import IMAGES, reached
from tests.repository.tree import PROJECT
from tests.stack.compose import Compose
from tests.stack.test_compose import volumes

pytestmark = pytest.mark.timeout(300)

SIZE = {"USERS": "12", "SPAWN_RATE": "6", "RUN_TIME": "6s"}
IMPORT = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
DOWN = "docker compose --profile '*' down -v"


@pytest.fixture(scope="module")
def load(use: Compose) -> Compose:
    """The system, with Locust's page and two workers."""
    use.run("--profile", "load", "up", "--detach", "--wait", "--build", "--scale", "loadtest-worker=2")
    return use


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_can_import_every_module_that_it_can_reach(load: Compose, image: str) -> None:
    load.exec(image, "python", "-c", IMPORT, *sorted(reached(image)))


def test_a_load_test_in_containers_ends_with_the_verdict_of_its_audit(load: Compose) -> None:
    """Whether the limits hold, a busy machine decides; that every vote is found, nobody does."""
    environ = {**os.environ, **SIZE, "LOADTEST_PORT": load.settings["LOADTEST_PORT"], "SHAPE": ""}
    command = [sys.executable, "-m", "loadtest", "start"]
    done = subprocess.run(command, cwd=PROJECT, env=environ, capture_output=True, text=True, timeout=200, check=False)
    assert "Audit: every vote was found" in done.stdout, done.stdout + done.stderr
    assert " 0 lost   0 doubled   0 reverted" in done.stdout
    assert "note:" not in done.stdout
    assert "the report: " in done.stdout


def test_the_documented_command_removes_the_containers_of_all_profiles(load: Compose) -> None:
    assert DOWN in (PROJECT / "docs" / "environments.md").read_text(encoding="utf-8")
    load.run("--profile", "*", "down", "-v")
    assert load.run("--profile", "*", "ps", "--all", "--quiet") == ""
    assert not [volume for volume in volumes() if volume.startswith(load.project)]

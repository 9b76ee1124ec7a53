"""The images for use: small, not root, unable to change themselves, quick to stop, and without secrets."""

import re
import subprocess
from contextlib import ExitStack

import pytest
from websockets.sync.client import connect

from tests.repository.tree import PROJECT, SERVICES
from tests.stack.compose import Compose, inspect
from tests.waiting import BUSY_SECONDS

pytestmark = [pytest.mark.timeout(200), pytest.mark.parametrize("service", SERVICES)]

STOP_SECONDS = 5.0
USER = "10001"


def fails(use: Compose, service: str, *command: str) -> str:
    """What a command says that must fail in the container."""
    with pytest.raises(AssertionError) as failure:
        use.exec(service, *command)
    return str(failure.value)


def test_it_does_not_run_as_root(use: Compose, service: str) -> None:
    assert use.exec(service, "id", "-u") == USER
    status = use.exec(service, "cat", "/proc/1/status")
    assert re.findall(r"^Uid:\s+(\d+)", status, re.M) == [USER]
    assert re.findall(r"^(?:CapEff|CapBnd):\s+0*([1-9a-f][0-9a-f]*)?$", status, re.M) == ["", ""]


def test_nothing_in_it_can_be_written(use: Compose, service: str) -> None:
    folders = ("", "app/", "venv/", "etc/", "home/tallyho/")
    failure = fails(use, service, "touch", *(f"/{folder}written" for folder in folders))
    assert failure.count("Read-only file system") == len(folders)


def test_it_has_no_compiler_and_no_pip_for_its_packages(use: Compose, service: str) -> None:
    fails(use, service, "sh", "-c", "command -v gcc || command -v cc || command -v c++")
    fails(use, service, "/venv/bin/python", "-c", "import pip")


def test_its_first_process_is_python_itself_which_gets_the_signals(use: Compose, service: str) -> None:
    assert use.exec(service, "cat", "/proc/1/cmdline").strip("\0").split("\0") == ["python", "-m", service]


def test_it_stops_in_time_with_a_success_also_with_open_websockets(use: Compose, service: str) -> None:
    with ExitStack() as stack:
        if service == "result":
            for _ in range(3):
                address = use.result_url.replace("http", "ws", 1) + "/ws"
                stack.enter_context(connect(address, close_timeout=1)).recv(timeout=10)
        seconds, state = use.stop_and_start(service)
    assert state == {"Status": "exited", "ExitCode": 0, "OOMKilled": False}
    assert seconds < STOP_SECONDS + BUSY_SECONDS


def test_it_says_what_it_is(use: Compose, service: str) -> None:
    labels = inspect(use.inspect(service)["Image"])["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == f"tallyho-{service}"
    assert service in labels["org.opencontainers.image.description"]


def test_no_secret_is_in_the_image_or_in_the_environment(use: Compose, service: str) -> None:
    image = use.inspect(service)["Image"]
    command = ["docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image]
    history = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    said = history + str(inspect(image)["Config"]) + str(use.inspect(service)["Config"])
    secrets = {path.name: path.read_text().strip() for path in (PROJECT / "docker" / "secrets").iterdir()}
    del secrets["database_password"]  # "password", which is a word; it is part of database_url
    assert secrets
    assert not [name for name, secret in secrets.items() if secret in said]
    found = use.exec(service, "sh", "-c", "find /app -name 'secret*' -o -name database_url -o -name '.env*'")
    assert found == ""

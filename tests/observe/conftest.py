"""Prometheus' programs, where they are."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from local.environment import PROJECT

Promtool = Callable[..., str]


@pytest.fixture(scope="session")
def promtool() -> Promtool:
    """Runs promtool in the project's folder, and fails with what it says if it finds something."""
    binary = shutil.which("promtool")
    if binary is None:
        pytest.skip("promtool is not on PATH (Debian: apt install prometheus)")

    def run(*arguments: str | Path) -> str:
        command = [binary, *(str(argument) for argument in arguments)]
        done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.fixture(scope="session")
def prometheus() -> str:
    """The server's path."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not on PATH (Debian: apt install prometheus)")
    return binary

"""Running copies of the project."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.copies import Up, copy_of_the_project


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One that several tests use, because each start costs seconds; it stays as they found it, but for its votes."""
    up = Up(copy_of_the_project(tmp_path_factory.mktemp("shared") / "project"))
    try:
        up.until_ready()
        yield up
    finally:
        up.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_of_the_project(tmp_path / "project")


@pytest.fixture
def up(project: Path) -> Iterator[Up]:
    up = Up(project)
    try:
        up.until_ready()
        yield up
    finally:
        up.close()

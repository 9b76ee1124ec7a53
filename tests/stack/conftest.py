"""The systems in containers that these tests share, and the browser."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.browsers import NoBrowser, arguments, find_browser
from tests.e2e.visitors import Visitor, Visitors
from tests.stack.compose import Compose, need_docker, running
from tests.stack.flake import copy_of_the_project


@pytest.fixture(scope="session")
def docker() -> None:
    """Docker and Compose are here, or the test is skipped."""
    need_docker()
    # as for Ctrl-C: what was started is removed
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, which the tests of a module may edit."""
    return copy_of_the_project(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def work(docker: None, tree: Path) -> Iterator[Compose]:
    """What plain `docker compose up` brings: a service starts again when it is edited."""
    with running(Compose(tree)) as compose:
        yield compose


@pytest.fixture(scope="module")
def use(docker: None, tree: Path) -> Iterator[Compose]:
    """The system as it is meant to be run for others, with room for three dashboards."""
    with running(Compose(tree, "docker-compose.yml", dashboards=3)) as compose:
        yield compose


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A Chromium."""
    try:
        path = find_browser()
    except NoBrowser as reason:
        pytest.skip(str(reason))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments())
        yield browser
        browser.close()


@pytest.fixture
def visitors(browser: Browser) -> Iterator[Visitors]:
    """Lets visitors in, and asks each at the end whether anything went wrong."""
    visitors = Visitors(browser)
    yield visitors
    visitors.leave()


@pytest.fixture
def visitor(visitors: Visitors) -> Visitor:
    """One visitor."""
    return visitors.new()

"""The system that all these tests share, and the browser."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser, sync_playwright

from local import reset as local_reset
from local.running import Running
from tests.e2e.browsers import NoBrowser, arguments, find_browser
from tests.e2e.visitors import Visitor, Visitors
from tests.system import System, running_system


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The system, running; at the end it must stop in time and leave nothing behind."""
    with running_system(tmp_path_factory.mktemp("system"), {}) as system:
        yield system


# Only as long as this package: while Playwright runs, no other event loop can, which other tests need.
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
def poll(system: System) -> Running:
    """The addresses of the system, with no votes in it."""
    facts = system.wait_until_ready()
    reset(system)
    return facts


def reset(system: System) -> None:
    """What `make reset` does; in a thread of its own, because Playwright has this one's event loop."""
    facts = system.facts()
    emptying = local_reset.reset(facts.redis_url, facts.database_url)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, emptying).result(30)


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

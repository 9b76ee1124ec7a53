"""What holds for all tests."""

import os
import signal
from collections.abc import Generator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis.database import DirectoryBasedExampleDatabase

from common.ballot import KEYS
from common.settings import Settings
from tests.robustness import figures

# no time limits: they would say more about the machine than about the code
hypothesis.settings.register_profile(
    "tallyho",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    database=DirectoryBasedExampleDatabase(Path(__file__).parent.parent / ".data" / "cache" / "hypothesis"),
)
hypothesis.settings.load_profile("tallyho")

# A shell ignores it for what it starts in the background, and what we start would do the same.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Whoever asks httpx without a client would read all the certificates of this machine anew: 25 ms of processor time.
with suppress(ImportError):  # it is not in the images for work, whose tests need none
    import httpx

    vars(httpx._transports.default)["create_ssl_context"] = cache(httpx.create_ssl_context)

# What somebody has set for a system that runs is no concern of the tests: they set what they need.
for _setting in (*Settings.model_fields, *(f"option_{key}" for key in KEYS)):
    for _suffix in ("", "_FILE"):
        os.environ.pop(_setting.upper() + _suffix, None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process of several tells how much it tried."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tried"] = figures.so_far()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The one that prints adds it up."""
    for what, number in getattr(node, "workeroutput", {}).get("tried", {}).items():
        figures.tried(what, number)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Say how much was tried, and what failed before a test ran twice; the last lines name these tests."""
    failures = terminalreporter.getreports("rerun")
    for failure in failures:
        terminalreporter.section(f"failed once: {failure.nodeid}")
        terminalreporter.line(failure.longreprtext)
    if lines := figures.lines():
        terminalreporter.section("tried")
        for line in lines:
            terminalreporter.line(line)
    yield
    if failures:
        terminalreporter.section("ran twice")
    for failure in failures:
        terminalreporter.line(f"RERUN {failure.nodeid}")

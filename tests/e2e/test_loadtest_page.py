"""Locust's page as somebody uses it: the form, a test that ends by itself, and a shape that somebody stops."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from local.running import Running
from tests.e2e.visitors import Visitor
from tests.ports import free_port
from tests.system import PROJECT, System
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(240)

END_SECONDS = 60.0


@pytest.fixture
def url(poll: Running, system: System, tmp_path: Path) -> Iterator[str]:
    """`make loadtest`, for the system that runs here."""
    port = str(free_port())
    # what a busy machine can't break
    limits = re.sub(r"(?m)^(\w+_ms|error_rate) = .*$", r"\1 = 60_000", (PROJECT / "loadtest/limits.toml").read_text())
    (tmp_path / "limits.toml").write_text(limits)
    settings = {"DATA_DIR": str(system.data), "LOADTEST_PORT": port, "LIMITS": str(tmp_path / "limits.toml")}
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "loadtest", "ui"], cwd=PROJECT, env=kept | settings, stdout=log, stderr=log
        )
        try:
            url = f"http://localhost:{port}"
            eventually(lambda: httpx.get(f"{url}/run.json").is_success, within=40, despite=(httpx.HTTPError,))
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(END_SECONDS)


def start(page: Page, *, users: int, run_time: str = "", shape: str = "") -> None:
    """Fill in the form and press Start."""
    if shape:
        page.locator("select").first.select_option(shape)
    page.locator("input[name=userCount]").fill(str(users))
    if not page.locator("input[name=runTime]").is_visible():
        page.get_by_text("Advanced options").click()
    page.locator("input[name=runTime]").fill(run_time)
    page.get_by_role("button", name="Start", exact=True).click()


def expect_line(page: Page, pattern: str) -> None:
    expect(page.locator(".tallyho-line")).to_have_text(re.compile(pattern), timeout=1000 * END_SECONDS)


def expect_audit(page: Page, text: str) -> None:
    expect(page.get_by_role("cell", name=text)).to_be_visible(timeout=1000 * END_SECONDS)


def test_the_form_begins_with_a_load_and_says_what_its_fields_mean(url: str, visitor: Visitor) -> None:
    page = visitor.open(url)
    expect(page.locator("input[name=userCount]")).to_have_value("100")
    expect(page.locator("input[name=spawnRate]")).to_have_value("20")
    expect(page.locator(".tallyho-hint")).to_contain_text("For a shape, the number of users is its peak")
    expect(page.locator(".tallyho-hint")).to_contain_text("FindTheLimit: about 3 minutes")
    page.locator("select").first.select_option("DoubleWave")
    expect(page.locator("input[name=userCount]")).to_be_editable()
    expect(page.locator("input[name=userCount]")).to_have_value("100")
    page.get_by_text("Advanced options").click()
    expect(page.locator("input[name=runTime]")).to_be_visible()
    expect(page.locator("input[name=profile]")).to_be_hidden()


def test_the_audit_is_on_the_page_as_soon_as_it_is_over_and_again_after_a_shape_that_was_stopped(
    url: str, visitor: Visitor
) -> None:
    """Nobody reloads the page. Locust's own part goes on as well: it shows the users, and whether the test runs."""
    page = visitor.open(url)
    expect_line(page, "^Ready for a load test")
    start(page, users=10, run_time="4s")
    expect_line(page, r"^running: \d+ s, \d+ users, ")
    page.get_by_role("tab", name="Audit").click()
    expect_audit(page, "follows when the test has ended")
    expect_line(page, "^PASSED: every accepted vote was found")
    expect_audit(page, "every vote was found")
    expect(page.get_by_text("stopped", exact=True)).to_be_visible()

    page.get_by_role("button", name="New").click()
    start(page, users=20, shape="Steady")
    expect_line(page, r"^steady \(takes 2 minutes\), 20 users at its peak: \d+ s, 20 users, ")
    expect(page.get_by_text("running", exact=True)).to_be_visible()
    expect_audit(page, "follows when the test has ended")
    page.get_by_role("button", name="Stop").click()
    expect_line(page, "^PASSED: every accepted vote was found")
    expect_audit(page, "every vote was found")
    expect(page.get_by_text("stopped", exact=True)).to_be_visible()

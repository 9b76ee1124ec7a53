"""`start` and `stop`: press the buttons of Locust's page, wherever it runs, and follow the test to its verdict."""

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import httpx

from loadtest.errors import LoadTestError
from loadtest.launch import LASTS, check_settings, size
from loadtest.settings import page_url

POLL_SECONDS = 0.5
TELL_SECONDS = 5.0
# The queue is to be empty before a test, which may take as long as limits.toml allows.
BEGIN_SECONDS = 90.0
STOP_SECONDS = 120.0  # the users' answers, and the ledgers of the workers
WORKERS_SECONDS = 15.0


class Page:
    """Locust's page, with our part of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=10)

    def now(self) -> dict[str, Any]:
        """What our part of the page says about the test; raises LoadTestError."""
        try:
            answer = self._client.get("/run.json")
            found: dict[str, Any] = answer.raise_for_status().json()
            found["state"]
        except httpx.RequestError as error:
            start = "make loadtest starts it (LOADTEST_URL or LOADTEST_PORT names another one)"
            raise LoadTestError(f"no load test's page answers at {self.url}: {start}") from error
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
            raise LoadTestError(f"what answers at {self.url} is not tallyho's load test: set LOADTEST_PORT") from error
        return found

    def press(self, button: str, form: Mapping[str, str], *, seconds: float = 30.0) -> None:
        """Press a button; raises LoadTestError if it does nothing."""
        try:
            answer = self._client.post(f"/{button}", data=dict(form), timeout=seconds).raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise LoadTestError(f"{self.url}/{button} failed: {error}") from error
        if not answer.get("success"):
            raise LoadTestError(f"the page at {self.url} refused: {answer.get('message')}")


def start() -> int:
    """Start a test and wait for its end; 0 if it passed."""
    check_settings()
    shape = os.environ.get("SHAPE", "")
    users, rate, run_time = size(shape, defaults=True)
    page = Page(page_url())
    before = _until_free(page)
    # a shape's class is its name in another writing
    shape_class = shape.title().replace("-", "") or "Default"
    page.press("swarm", {"user_count": users, "spawn_rate": rate, "run_time": run_time, "shape_class": shape_class})
    how_long = run_time or LASTS[shape]
    print(f"started: {shape or 'steady'}, {users} users, {how_long}; {page.url}", flush=True)
    try:
        return _follow(page, before)
    except KeyboardInterrupt:
        print("the test goes on: make loadtest-stop ends it", file=sys.stderr)
        raise


def stop() -> int:
    """Stop the test that runs."""
    page = Page(page_url())
    if page.now()["state"] != "running":
        print("no test is running")
        return 0
    page.press("stop", {}, seconds=STOP_SECONDS)
    print("stopped; the audit follows on the page")
    return 0


def _until_free(page: Page) -> str | None:
    """Wait for workers, if the page needs them; returns the run before ours."""
    deadline = time.monotonic() + WORKERS_SECONDS
    while True:
        now = page.now()
        if now["state"] == "running":
            raise LoadTestError(f"a test is running at {page.url}: wait for its end, or make loadtest-stop")
        if now["workers"] != 0:
            run: str | None = now["run"]
            return run
        if time.monotonic() > deadline:
            raise LoadTestError(f"the page at {page.url} has no workers: make loadtest-worker lends it one")
        time.sleep(POLL_SECONDS)


def _follow(page: Page, before: str | None) -> int:
    deadline, next_line = time.monotonic() + BEGIN_SECONDS, time.monotonic() + TELL_SECONDS
    while True:
        now = page.now()
        begun = now["run"] != before
        if begun and now["state"] == "ended":
            print(*now["words"], sep="\n")
            return 0 if now["ok"] else 1
        if not begun and time.monotonic() > deadline:
            raise LoadTestError(f"the test has not begun: the log of {page.url} says why")
        if begun and time.monotonic() > next_line:
            next_line = time.monotonic() + TELL_SECONDS
            print(now["progress"] if now["state"] == "running" else "looking for every vote", flush=True)
        time.sleep(POLL_SECONDS)

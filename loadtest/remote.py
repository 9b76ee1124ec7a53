"""`make loadtest-start` and `loadtest-stop`: press the buttons of a page, wherever it is, and follow the test."""

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import httpx

from loadtest import LoadTestError
from loadtest.launch import LASTS, check_settings, size
from loadtest.settings import page_url

POLL_SECONDS = 0.5
TELL_SECONDS = 5.0
STOP_SECONDS = 120.0  # for the users' answers, and the ledgers of the workers
WORKERS_SECONDS = 15.0


class Remote:
    """A page that is up somewhere."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=10)

    def status(self) -> dict[str, Any]:
        """What our part of the page says about the test; raises LoadTestError."""
        try:
            answer = self._client.get("/run.json")
            found: dict[str, Any] = answer.raise_for_status().json()
            found["state"]
        except httpx.RequestError as error:
            start = "make loadtest starts it (LOADTEST_URL or LOADTEST_PORT point to another one)"
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
    page = Remote(page_url())
    run_before = _wait_until_free(page)
    shape_class = shape.title().replace("-", "") or "Default"
    page.press("swarm", {"user_count": users, "spawn_rate": rate, "run_time": run_time, "shape_class": shape_class})
    print(f"started: {shape or 'steady'}, {users} users, {run_time or LASTS[shape]}; {page.url}", flush=True)
    try:
        return _follow(page, run_before)
    except KeyboardInterrupt:
        print("the test is still running: make loadtest-stop ends it", file=sys.stderr)
        raise


def stop() -> int:
    page = Remote(page_url())
    if page.status()["state"] != "running":
        print("no test is running")
        return 0
    page.press("stop", {}, seconds=STOP_SECONDS)
    print("stopped; the audit follows on the page")
    return 0


def _wait_until_free(page: Remote) -> str | None:
    """Wait for workers, if the page needs them; returns the run before ours."""
    deadline = time.monotonic() + WORKERS_SECONDS
    while True:
        now = page.status()
        if now["state"] == "running":
            raise LoadTestError(f"a test is running at {page.url}: wait for its end, or make loadtest-stop")
        if now["workers"] != 0:
            run: str | None = now["run"]
            return run
        if time.monotonic() > deadline:
            raise LoadTestError(f"the page at {page.url} has no workers: make loadtest-worker starts one")
        time.sleep(POLL_SECONDS)


def _follow(page: Remote, run_before: str | None) -> int:
    next_line = time.monotonic() + TELL_SECONDS
    while True:
        now = page.status()
        begun = now["run"] != run_before
        if begun and now["state"] == "ended":
            print(*now["words"], sep="\n")
            return 0 if now["ok"] else 1
        if now["state"] == "ended":
            raise LoadTestError(f"the test was stopped or failed before it began; see the log of {page.url}")
        if begun and time.monotonic() > next_line:
            next_line = time.monotonic() + TELL_SECONDS
            print(now["progress"] if now["state"] == "running" else "auditing: looking for every vote", flush=True)
        time.sleep(POLL_SECONDS)

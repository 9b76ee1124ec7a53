"""Finds a Chromium: one on PATH, else Playwright's own, downloaded once into the data folder."""

import os
import shutil
import subprocess
import sys

from tests.system import PROJECT

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FOLDER = PROJECT / ".data" / "browsers"
DOWNLOAD_SECONDS = 180

# Nothing but the pages' own requests: a browser on its own looks for updates, accounts and phishing lists.
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--metrics-recording-only",
    "--disable-dev-shm-usage",  # small in containers
)


class NoBrowser(Exception):
    """There is no browser here; the text says why."""


def arguments() -> list[str]:
    """How to start it; root can't have Chromium's sandbox."""
    return [*QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]


def find_browser() -> str | None:
    """The path of a browser, or None where Playwright's own is to be used; raises NoBrowser."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    os.environ["PLAYWRIGHT_BROWSERS_PATH"] = str(FOLDER)
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise NoBrowser(f"no Chromium on PATH, and Playwright's did not arrive in {DOWNLOAD_SECONDS} s") from None
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise NoBrowser(f"no Chromium on PATH, and Playwright's can't be had: {' '.join(last)}")
    return None

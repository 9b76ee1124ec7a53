"""Visitors: browsers of their own, which remember everything that went wrong on the pages they saw."""

from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request, expect

from tests.waiting import eventually

# Chromium writes every answer that is an error to the console; a test that provokes one forgives it.
ERRORS = ("error", "warning")
# Each container that comes or goes changes this machine's network, and Chromium then drops what it is loading.
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
OPEN_SECONDS = 60.0

expect.set_options(timeout=30_000)  # for all tests of pages: Playwright's own five seconds are little on a busy machine


class Visitor:
    """One browser with its own cookies; `problems` is what its pages complained of."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.problems: list[str] = []
        self._hosts: set[str] = set()
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.problems.append(f"uncaught: {error.error}"))
        context.on("request", self._on_request)

    def open(self, url: str) -> Page:
        """Open an address in a new tab, again if the network has changed meanwhile."""
        page = self.context.new_page()

        def opened() -> bool:
            known = len(self.problems)
            try:
                page.goto(url)
            except Error as error:
                # the error's own page may come in the way of the next try
                if NETWORK_CHANGED in str(error) or "chrome-error://" in str(error):
                    return False
                raise
            return not any(NETWORK_CHANGED in problem for problem in self.problems[known:])

        eventually(opened, within=OPEN_SECONDS, saying=f"{url} is open")
        return page

    def forgive(self) -> None:
        """What went wrong was meant to."""
        self.problems.clear()

    def close(self) -> None:
        """Leave, and complain."""
        self.context.close()
        strangers = self._hosts - {"localhost", "127.0.0.1"}
        assert not strangers, f"requests left this machine, to {strangers}"
        problems = [problem for problem in self.problems if NETWORK_CHANGED not in problem]
        assert not problems, problems

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ERRORS:
            self.problems.append(f"{message.type} on {message.page and message.page.url}: {message.text}")

    def _on_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob"):
            self._hosts.add(address.hostname or "")


class Visitors:
    """Lets visitors in."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._all: list[Visitor] = []

    def new(self, **options: Any) -> Visitor:
        """A browser that has never been here; the options are those of a browser context."""
        visitor = Visitor(self._browser.new_context(**{"reduced_motion": "reduce", **options}))
        self._all.append(visitor)
        return visitor

    def leave(self) -> None:
        """All leave."""
        for visitor in self._all:
            visitor.close()

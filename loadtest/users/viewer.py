"""Those who watch: the time from a vote to a screen, as Locust entries of their own."""

import random
import time
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust import User, constant, task

from loadtest.settings import limits
from loadtest.users.booth import Booth
from loadtest.users.screen import News, Screen, ScreenFailure
from proof.browser import Browser

TO_SCREEN = "vote to screen"
OWN_TO_SCREEN = "own vote to screen"
CONNECT = "connect"
LOST = "screen lost"

BACK_OFF_SECONDS = (0.2, 2.0)
WATCH_SECONDS = 1.0
OWN_VOTE_SECONDS = 10.0
PAUSE_SECONDS = 1.0


class Watcher:
    """Keeps a screen on for a user, and tells Locust what it shows."""

    def __init__(self, user: Any) -> None:
        self._user = user
        self._screen: Screen | None = None
        self._pause = BACK_OFF_SECONDS[0]

    def screen(self) -> Screen | None:
        """The screen, connected if need be; None, after a pause, if that can't be done now."""
        if self._screen is None:
            began = time.perf_counter()
            try:
                self._screen = Screen(self._user.environment.parsed_options.result_url)
            except ScreenFailure as failure:
                self.tell(CONNECT, time.perf_counter() - began, failure)
                gevent.sleep(self._pause * random.uniform(0.5, 1))
                self._pause = min(2 * self._pause, BACK_OFF_SECONDS[1])
                return None
            self.tell(CONNECT, time.perf_counter() - began)
            self._pause = BACK_OFF_SECONDS[0]
        return self._screen

    def watch(self) -> News | None:
        """Wait a moment for news."""
        screen = self.screen()
        if screen is None:
            return None
        try:
            return screen.watch(WATCH_SECONDS)
        except ScreenFailure as failure:
            self.tell(LOST, 0.0, failure)
            self.close()
            return None

    def tell(self, name: str, seconds: float, failure: Exception | None = None) -> None:
        """An entry of Locust's table."""
        self._user.environment.events.request.fire(
            request_type="WS",
            name=name,
            response_time=1000 * seconds,
            response_length=0,
            exception=failure,
            context={},
        )

    def close(self) -> None:
        """Look away."""
        if self._screen is not None:
            self._screen.close()
            self._screen = None


class Viewer(User):
    """An open dashboard; connects again when it is lost."""

    weight = limits()["weights"]["Viewer"]
    wait_time = constant(0)

    def on_start(self) -> None:
        self.watcher = Watcher(self)

    @task
    def watch(self) -> None:
        """Wait for the next snapshot."""
        if news := self.watcher.watch():
            self.watcher.tell(TO_SCREEN, news.seconds)

    def on_stop(self) -> None:
        self.watcher.close()


class Prober(Booth):
    """Votes, and waits until its own vote is on its own screen: one clock, whatever machine it runs on."""

    fixed_count = 1
    wait_time = constant(PAUSE_SECONDS)

    def on_start(self) -> None:
        super().on_start()
        self.watcher = Watcher(self)
        self.browser = Browser()
        self.option = "a"

    @task
    def vote_and_wait(self) -> None:
        """One probe."""
        if self.watcher.screen() is None:
            return
        self.option = "b" if self.option == "a" else "a"
        began = time.perf_counter()
        cast_at = self.cast_by_api(self.browser, self.option)
        if cast_at is None:
            return
        while time.perf_counter() - began < OWN_VOTE_SECONDS:
            screen = self.watcher.screen()
            if screen is not None and screen.as_of >= cast_at:
                self.watcher.tell(OWN_TO_SCREEN, time.perf_counter() - began)
                return
            self.watcher.watch()
        missing = ScreenFailure(f"not shown within {OWN_VOTE_SECONDS:g} s")
        self.watcher.tell(OWN_TO_SCREEN, OWN_VOTE_SECONDS, missing)

    def on_stop(self) -> None:
        self.watcher.close()

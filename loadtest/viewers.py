"""Those who watch: a dashboard's WebSocket, each snapshot checked, and how long a vote took to a screen."""

import json
import random
import time
from datetime import datetime
from typing import Any

import gevent  # type: ignore[import-untyped]
import websocket
from locust import User, constant, task

from loadtest.ledgers import current
from loadtest.request_log import request_log
from loadtest.voters import WEIGHTS, VotingUser, report
from proof.browser import Browser

TO_SCREEN = "vote to screen"
OWN_TO_SCREEN = "own vote to screen"
CONNECT = "connect"
LOST = "screen lost"

CONNECT_SECONDS = 10.0
SILENT_SECONDS = 6.0  # result sends something at least every three seconds
BACK_OFF_SECONDS = (0.2, 2.0)
WATCH_SECONDS = 1.0
OWN_VOTE_SECONDS = 10.0
PAUSE_SECONDS = 1.0
SERVICE_RESTART = (1012).to_bytes(2, "big")  # the code of a closing frame


class ScreenFailure(Exception):
    """What a viewer would complain about; the text is one of a few, because Locust keeps each."""


class Moved(Exception):
    """The server restarts and asks to come back at once, which is no failure."""


class Screen:
    """A user's dashboard: its WebSocket, opened when needed, whose failures are reported to Locust."""

    def __init__(self, user: Any, *, is_watched: bool = False) -> None:
        self.as_of = ""  # when the newest vote on the screen was cast; empty without votes
        self._user = user
        self._is_watched = is_watched  # all the time: only then it shows what has come
        self._opened = time.time()
        self._socket: websocket.WebSocket | None = None
        self._heard = 0.0
        self._pause = BACK_OFF_SECONDS[0]

    def connect(self) -> bool:
        """Open the WebSocket, if need be; returns False, after a pause, if that fails."""
        if self._socket is not None:
            return True
        began = time.perf_counter()
        try:
            address = websocket_url(self._user.environment.parsed_options.result_url)
            self._socket = websocket.create_connection(address, timeout=CONNECT_SECONDS, suppress_origin=True)
            self._show(self._receive(CONNECT_SECONDS) or "")
        except Moved:
            self.close()
            return False
        except (ScreenFailure, OSError, websocket.WebSocketException) as error:
            failure = error if isinstance(error, ScreenFailure) else ScreenFailure(f"{type(error).__name__}")
            report(self._user, CONNECT, time.perf_counter() - began, failure)
            self.close()
            gevent.sleep(self._pause * random.uniform(0.5, 1))
            self._pause = min(2 * self._pause, BACK_OFF_SECONDS[1])
            return False
        report(self._user, CONNECT, time.perf_counter() - began)
        self._pause = BACK_OFF_SECONDS[0]
        return True

    def watch(self) -> float | None:
        """Wait a moment for the next snapshot; returns the seconds since its newest vote was cast, if that is new."""
        if not self.connect():
            return None
        try:
            as_of = self._receive(WATCH_SECONDS)
        except Moved:
            self.close()
            return None
        except ScreenFailure as failure:
            report(self._user, LOST, 0.0, failure)
            self.close()
            return None
        arrived = time.time()
        if as_of is None or as_of <= self.as_of:
            return None
        self._show(as_of)
        if current.is_open:
            current.ledger.see(as_of)
        return max(0.0, arrived - datetime.fromisoformat(as_of).timestamp())

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close(timeout=0)
            self._socket = None

    def _show(self, as_of: str) -> None:
        if self._is_watched and self.as_of and as_of > self.as_of:
            # Before the test nobody may have voted for long.
            since = max(datetime.fromisoformat(self.as_of).timestamp(), self._opened)
            request_log.note_screen(time.time() - since)
        self.as_of = as_of

    def _receive(self, seconds: float) -> str | None:
        """The time of the newest vote of the next snapshot; None if no snapshot came."""
        assert self._socket is not None
        self._socket.settimeout(seconds)
        try:
            opcode, data = self._socket.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                raise Moved if data[:2] == SERVICE_RESTART else ScreenFailure("closed")
            as_of = _check(json.loads(data))
        except websocket.WebSocketTimeoutException:
            if time.monotonic() - self._heard > SILENT_SECONDS:
                raise ScreenFailure(f"no snapshot for {SILENT_SECONDS:g} s") from None
            return None
        except (OSError, ValueError, websocket.WebSocketException) as error:
            raise ScreenFailure(f"broken: {type(error).__name__}") from error
        self._heard = time.monotonic()
        return as_of


def websocket_url(result_url: str) -> str:
    return f"ws{result_url.removeprefix('http')}/ws"


def _check(snapshot: dict[str, Any]) -> str:
    """The time of a snapshot's newest vote; raises ScreenFailure if the snapshot can't be true."""
    try:
        votes = [option["votes"] for option in snapshot["options"]]
        percents = sum(option["percent"] for option in snapshot["options"])
        total = snapshot["total"]
        as_of = snapshot["as_of"] or ""
    except (KeyError, TypeError) as error:
        raise ScreenFailure("a snapshot is incomplete") from error
    rounding = 0.05 * len(votes) + 0.001
    if sum(votes) != total or min(votes) < 0 or (total and abs(percents - 100) > rounding):
        raise ScreenFailure("a snapshot contradicts itself")
    return str(as_of)


class Viewer(User):
    """An open dashboard, which reconnects when it loses its connection."""

    weight = WEIGHTS["Viewer"]
    wait_time = constant(0)

    def on_start(self) -> None:
        self.screen = Screen(self, is_watched=True)

    @task
    def watch(self) -> None:
        # Compares two clocks: this machine's and the vote service's.
        if (seconds := self.screen.watch()) is not None:
            report(self, TO_SCREEN, seconds)

    def on_stop(self) -> None:
        self.screen.close()


class Prober(VotingUser):
    """Votes, and waits until its own vote is on its own screen: one clock, whatever machine it runs on."""

    fixed_count = 1
    wait_time = constant(PAUSE_SECONDS)

    def on_start(self) -> None:
        super().on_start()
        self.screen = Screen(self)
        self.browser = Browser()
        self.option = "a"

    @task
    def vote_and_wait(self) -> None:
        if not self.screen.connect():
            return
        self.option = "b" if self.option == "a" else "a"
        began = time.perf_counter()
        cast_at = self.cast_by_api(self.browser, self.option)
        if cast_at is None:
            return
        while time.perf_counter() - began < OWN_VOTE_SECONDS:
            if self.screen.as_of >= cast_at:
                report(self, OWN_TO_SCREEN, time.perf_counter() - began)
                return
            self.screen.watch()
        report(self, OWN_TO_SCREEN, OWN_VOTE_SECONDS, ScreenFailure(f"not shown within {OWN_VOTE_SECONDS:g} s"))

    def on_stop(self) -> None:
        self.screen.close()

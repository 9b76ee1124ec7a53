"""A screen: a dashboard's WebSocket, checked snapshot by snapshot."""

import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import websocket

from loadtest.noting import notebook

CONNECT_SECONDS = 10.0
SILENT_SECONDS = 6.0  # the result service shows something at least every three seconds


class ScreenFailure(Exception):
    """What a viewer would complain about; the text is one of a few, because Locust keeps each."""


@dataclass(frozen=True)
class News:
    """A snapshot that tells of votes which this screen has not told of before."""

    as_of: str
    seconds: float  # since the newest of them was cast, by this machine's clock and the vote service's


class Screen:
    """An open WebSocket. Every method raises ScreenFailure when the dashboard would be dark or wrong."""

    def __init__(self, result_url: str) -> None:
        self._as_of = ""
        self._heard = time.monotonic()
        try:
            self._socket = websocket.create_connection(
                live_address(result_url), timeout=CONNECT_SECONDS, suppress_origin=True
            )
            self._as_of = _check(json.loads(self._socket.recv()))
        except (OSError, ValueError, websocket.WebSocketException) as error:
            raise ScreenFailure(f"can't connect: {type(error).__name__}") from error

    @property
    def as_of(self) -> str:
        """The time of the newest vote that this screen shows; an empty text when there is none."""
        return self._as_of

    def watch(self, seconds: float) -> News | None:
        """Wait for the next snapshot, at most so long; None if it tells nothing new, or did not come yet."""
        self._socket.settimeout(seconds)
        try:
            text = self._socket.recv()
            arrived = time.time()
            if not text:
                raise ScreenFailure("closed")
            as_of = _check(json.loads(text))
        except websocket.WebSocketTimeoutException:
            if time.monotonic() - self._heard > SILENT_SECONDS:
                raise ScreenFailure(f"no snapshot for {SILENT_SECONDS:g} s") from None
            return None
        except (OSError, ValueError, websocket.WebSocketException) as error:
            raise ScreenFailure(f"broken: {type(error).__name__}") from error
        self._heard = time.monotonic()
        if as_of <= self._as_of:
            return None
        self._as_of = as_of
        if notebook.is_open:
            notebook.ledger.see(as_of)
        return News(as_of, max(0.0, arrived - datetime.fromisoformat(as_of).timestamp()))

    def close(self) -> None:
        """Look away."""
        self._socket.close(timeout=0)


def live_address(result_url: str) -> str:
    """The address of the WebSocket."""
    return f"ws{result_url.removeprefix('http')}/ws"


def _check(snapshot: dict[str, Any]) -> str:
    """The time of a snapshot's newest vote; raises ScreenFailure if the snapshot can't be true."""
    try:
        votes = [option["votes"] for option in snapshot["options"]]
        percents = sum(option["percent"] for option in snapshot["options"])
        total = snapshot["total"]
        as_of = snapshot["as_of"] or ""
    except (KeyError, TypeError) as error:
        raise ScreenFailure("a snapshot lacks something") from error
    rounding = 0.05 * len(votes) + 0.001
    if sum(votes) != total or min(votes) < 0 or (total and abs(percents - 100) > rounding):
        raise ScreenFailure("a snapshot contradicts itself")
    return str(as_of)

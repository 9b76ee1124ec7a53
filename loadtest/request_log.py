"""Every request of a run with its time, for those who ask what happened to them at a certain moment.

LOG_REQUESTS=1 keeps it, in the run's folder: `requests.jsonl`, a line as soon as it is known.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "requests.jsonl"
SCREEN = "screen"
LATE = "late"
LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Entry:
    """A request, a screen that showed something newer, or a delay of the load test itself; times in Unix seconds."""

    name: str
    ended: float
    seconds: float  # of a request until its answer; of a screen, how old its newest vote was by then
    failure: str  # empty if there was none

    @property
    def is_request(self) -> bool:
        """Whether somebody waited for an answer; what else users report may only fail."""
        return self.name == "WS connect" or not self.name.startswith(("WS ", SCREEN, LATE))

    @property
    def began(self) -> float:
        return self.ended - self.seconds


class RequestLog:
    """The log of this process; without a file, nothing is noted."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._file: Any = None

    def open(self, folder: Path) -> None:
        self.close()
        self._file = self._stack.enter_context((folder / FILE).open("x", encoding="utf-8"))

    def close(self) -> None:
        self._stack.close()
        self._file = None

    def add(self, *, request_type: str, name: str, response_time: float, exception: Any = None, **_: Any) -> None:
        """Locust's listener."""
        name = name if name.startswith(request_type) else f"{request_type} {name}"
        self._write(name, response_time / 1000, str(exception or ""))

    def note_screen(self, seconds: float) -> None:
        """A screen shows something newer; until now its newest vote had become this old."""
        self._write(SCREEN, seconds, "")

    def watch_ourselves(self, sleep: Callable[[float], None]) -> None:
        """Note how late we are ourselves, until the log is closed: whoever is late makes others look slow."""
        while self._file is not None:
            began = time.monotonic()
            sleep(LOOK_SECONDS)
            self._write(LATE, time.monotonic() - began - LOOK_SECONDS, "")

    def _write(self, name: str, seconds: float, failure: str) -> None:
        if self._file is not None:
            self._file.write(json.dumps([name, time.time(), seconds, failure]) + "\n")


request_log = RequestLog()


def read_log(folder: Path) -> Iterator[Entry]:
    """What was noted in a run."""
    with (folder / FILE).open(encoding="utf-8") as file:
        for line in file:
            yield Entry(*json.loads(line))

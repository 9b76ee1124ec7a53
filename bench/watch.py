"""Watches a page until it shows a text, or no longer does: from here, or from inside a container."""

import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import httpx

from bench.commands import Shell, stop
from bench.errors import BenchError, NotSeen

POLL_SECONDS = 0.03
REQUEST_SECONDS = 2.0
BEGIN_SECONDS = 60.0

# The same inside a container, whose port nobody else reaches. It must run before the edit is made: Python's start
# would be measured otherwise.
PROGRAM = f"""
import http.client, sys, time, urllib.request
url, text, there, seconds = sys.argv[1:]
end = time.monotonic() + float(seconds)
print("watching", flush=True)
while time.monotonic() < end:
    try:
        with urllib.request.urlopen(url, timeout={REQUEST_SECONDS}) as answer:
            if (text in answer.read().decode()) == (there == "True"):
                print("seen", flush=True)
                break
    except (OSError, http.client.HTTPException):
        pass
    time.sleep({POLL_SECONDS})
"""


@dataclass(frozen=True)
class Sign:
    """What to wait for: a text on a page, or its absence."""

    url: str
    text: str
    there: bool = True
    within: float = 60.0

    def __str__(self) -> str:
        return f"{self.url} {'shows' if self.there else 'no longer shows'} {self.text!r}"


class Watch(Protocol):
    """A watch that has begun."""

    def wait(self) -> None:
        """Return when the page shows it; raises NotSeen when the time is over."""


class PageWatch:
    """Asks a page of this machine again and again."""

    def __init__(self, sign: Sign) -> None:
        self._sign = sign

    def wait(self) -> None:
        sign, end = self._sign, time.monotonic() + self._sign.within
        while time.monotonic() < end:
            try:
                # a new connection each time: a kept one would be broken by the restart that we wait for
                answer = httpx.get(sign.url, timeout=REQUEST_SECONDS).raise_for_status()
                if (sign.text in answer.text) is sign.there:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(POLL_SECONDS)
        raise NotSeen(f"not within {sign.within:g} s: {sign}")


class InsideWatch:
    """Listens to a program that asks inside a container."""

    def __init__(self, sign: Sign, process: "subprocess.Popen[bytes]") -> None:
        self._sign = sign
        self._process = process

    def begin(self) -> None:
        """Return when the program asks."""
        if self._line(BEGIN_SECONDS) != b"watching":
            raise BenchError(f"nobody can be asked inside the container whether {self._sign}")

    def wait(self) -> None:
        if self._line(self._sign.within + REQUEST_SECONDS) != b"seen":
            raise NotSeen(f"not within {self._sign.within:g} s: {self._sign}")

    def _line(self, seconds: float) -> bytes:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        return self._process.stdout.readline().strip() if ready else b""


@contextmanager
def from_inside(sign: Sign, shell: Shell, *command: str) -> Iterator[InsideWatch]:
    """Watch by a command that runs Python in the container."""
    process = subprocess.Popen(
        [*command, "python", "-c", PROGRAM, sign.url, sign.text, str(sign.there), str(sign.within)],
        cwd=shell.folder,
        env=shell.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,
    )
    try:
        watch = InsideWatch(sign, process)
        watch.begin()
        yield watch
    finally:
        stop(process, signal.SIGTERM)
        if process.stdout is not None:
            process.stdout.close()

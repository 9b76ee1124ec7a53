"""One log for all parts: time, name, text. A thread writes it, so that a paused terminal can't block the supervisor."""

import os
import queue
import select
import threading
import time
from collections.abc import Callable

# Lines that wait for a terminal that is not reading; any more are left out, and counted.
MOST_WAITING = 10_000
NAME_WIDTH = 8
COLOURS = {"postgres": 34, "redis": 31, "vote": 36, "worker": 33, "result": 35}
OWN_COLOUR = 32


class Log:
    """Lines to a file descriptor; `on_broken` is called, in the thread, when the reader has gone away."""

    on_broken: Callable[[], object] = staticmethod(lambda: None)

    def __init__(self, descriptor: int, *, colour: bool) -> None:
        self._descriptor = descriptor
        self._colour = colour
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_WAITING)
        self._left_out = 0
        self._thread = threading.Thread(target=self._write_lines, name="log", daemon=True)
        self._thread.start()

    def line(self, name: str, text: str) -> None:
        """Write the text, each of its lines with time and name."""
        head = f"{time.strftime('%H:%M:%S')} {name:{NAME_WIDTH}} |"
        if self._colour:
            head = f"\x1b[{COLOURS.get(name, OWN_COLOUR)}m{head}\x1b[0m"
        for part in text.splitlines() or [""]:
            self._put(f"{head} {part}\n")

    def plain(self, text: str) -> None:
        """Write the text as it is."""
        self._put(f"{text}\n")

    def waiting(self) -> int:
        """How many lines are not written yet."""
        return self._lines.qsize()

    def close(self) -> None:
        """Write what waits, unless nobody reads it."""
        try:
            self._lines.put(None, timeout=1)
            self._thread.join(1)
        except queue.Full:
            pass

    def _put(self, line: str) -> None:
        if self._left_out:
            line = f"... {self._left_out:,} lines left out\n{line}"
        try:
            self._lines.put_nowait(line)
            self._left_out = 0
        except queue.Full:
            self._left_out += 1

    def _write_lines(self) -> None:
        write: Callable[[bytes], object] = self._write
        while (line := self._lines.get()) is not None:
            try:
                write(line.encode(errors="replace"))
            except OSError:
                self.on_broken()
                write = len  # nobody reads any more: drop the lines

    def _write(self, data: bytes) -> None:
        # Not through sys.stdout: a thread that hangs in its buffer would block the interpreter's exit.
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])

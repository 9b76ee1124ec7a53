"""Ends what we started when we ourselves are killed with -9 and can't.

A tiny shell waits at the end of a pipe whose other end only this process holds; the kernel closes that end however we
die. PR_SET_PDEATHSIG would do without a process, but only on Linux, and only with code between fork and exec.
"""

import contextlib
import subprocess
from collections.abc import Iterable, Sequence

# Reads the process groups to end, one line after the other, the last line counts. At the end of the pipe: SIGTERM, up
# to 4 s for them to go, SIGKILL. Each group by itself, because one that is gone must not keep `kill` from the others.
SCRIPT = """
while read -r line; do groups=$line; done
each() { alive=0; for group in $groups; do kill -s "$1" -- "-$group" 2>/dev/null && alive=1; done; }
each TERM
tries=0
while [ "$tries" -lt 40 ] && each 0 && [ "$alive" = 1 ]; do sleep 0.1; tries=$((tries + 1)); done
each KILL
"""


class Guard:
    """Watches over process groups; `locks` are file descriptors it holds open for as long as it lives."""

    def __init__(self, *, locks: Sequence[int] = ()) -> None:
        self._inherited = locks
        self._shell = self._start()

    def watch(self, groups: Iterable[int]) -> None:
        """From now on these groups, instead of those before."""
        line = " ".join(map(str, groups)).encode() + b"\n"
        try:
            self._write(line)
        except BrokenPipeError:
            self._shell = self._start()
            self._write(line)

    def close(self) -> None:
        """Nothing is left to end."""
        with contextlib.suppress(BrokenPipeError):
            self._write(b"\n")
        if self._shell.stdin:
            self._shell.stdin.close()
        self._shell.wait()

    def _write(self, line: bytes) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(line)

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["/bin/sh", "-c", SCRIPT],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self._inherited,
        )

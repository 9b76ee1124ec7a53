"""Keeps the process of a part running: labels its output, restarts it with back-off when it dies, stops it when asked.

Processes outlive whoever started them; the `Reaper` ends them when the supervisor itself is killed.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Sequence

from local.errors import LocalError
from local.log import Log
from local.parts import Part

FIRST_DELAY = 0.2
LONGEST_DELAY = 5.0
# After so long a run, the next failure is a new one.
STEADY_SECONDS = 10.0
LONGEST_LINE = 64 * 1024


class BackOff:
    """How long to wait before the next start."""

    def __init__(self) -> None:
        self._delay = FIRST_DELAY

    def after(self, ran_seconds: float) -> float:
        """The delay after a run of so many seconds."""
        if ran_seconds >= STEADY_SECONDS:
            self._delay = FIRST_DELAY
        delay, self._delay = self._delay, min(self._delay * 2, LONGEST_DELAY)
        return delay


class Process:
    """The process of a part. `on_change` is called at every start and end of it, `on_failure` if it can't be run."""

    def __init__(
        self,
        part: Part,
        log: Log,
        *,
        on_change: Callable[["Process"], None],
        on_failure: Callable[[LocalError], None],
    ) -> None:
        self.name = part.name
        self.prepared = asyncio.Event()
        self._part = part
        self._log = log
        self._on_change = on_change
        self._on_failure = on_failure
        self._back_off = BackOff()
        self._running: subprocess.Popen[bytes] | None = None
        self._ended = asyncio.Event()
        self._again = asyncio.Event()
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """Its number, which is its process group's as well."""
        return self._running.pid if self._running else None

    async def run(self) -> None:
        """Start it, and again whenever it ends, until `stop`."""
        try:
            for line in await asyncio.to_thread(self._part.prepare):
                self._log.line(self.name, line)
            self.prepared.set()
            while not self._stopping:
                await self._run_once()
        except LocalError as error:
            self._on_failure(error)

    def restart(self, reason: str) -> None:
        """End it, and start it again at once."""
        self._log.line(self.name, f"{reason}: restarting")
        self._again.set()
        self._end()

    async def stop(self) -> None:
        """End it for good: by its own signal, and if that takes too long by SIGKILL."""
        self._stopping = True
        self._again.set()
        if self._running is None:
            return
        self._end()
        try:
            async with asyncio.timeout(self._part.stop_seconds):
                await self._ended.wait()
        except TimeoutError:
            self._log.line(self.name, f"did not stop in {self._part.stop_seconds:.0f} s: killed")
            self.kill()
            await self._ended.wait()

    def kill(self) -> None:
        """End it now."""
        self._stopping = True
        self._signal(signal.SIGKILL, to_group=True)

    def poll(self) -> None:
        """Look whether it has ended; called at every SIGCHLD."""
        if self._running is not None and self._running.poll() is not None:
            self._ended.set()

    async def _run_once(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._again.clear()
        code = await self._start_and_wait()
        if self._stopping or self._again.is_set():
            return
        delay = self._back_off.after(loop.time() - began)
        self._log.line(self.name, f"{how_it_ended(code)}; restarting in {delay:.1f} s")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._again.wait()

    async def _start_and_wait(self) -> int:
        process = self._running = self._launch()
        self._ended.clear()
        self._on_change(self)
        self.poll()
        output = asyncio.create_task(self._copy_output(process), name=f"output of {self.name}")
        await self._ended.wait()
        # Its children may still hold the pipe.
        await asyncio.wait([output], timeout=0.5)
        output.cancel()
        self._running = None
        self._on_change(self)
        return process.wait()

    def _launch(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self._part.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                **self._part.start_arguments(),
            )
        except OSError as error:
            raise LocalError(f"{self.name}: can't run {self._part.argv[0]}: {error.strerror}") from error

    async def _copy_output(self, process: subprocess.Popen[bytes]) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), process.stdout
        )
        rest = b""
        try:
            while chunk := await reader.read(LONGEST_LINE):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) >= LONGEST_LINE:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    self._show(line)
        finally:
            if rest:
                self._show(rest)
            transport.close()

    def _show(self, line: bytes) -> None:
        text = self._part.tidy(line.decode(errors="replace").rstrip("\r"))
        if text is not None:
            self._log.line(self.name, text)

    def _end(self) -> None:
        process = self._running
        if process is None or process.poll() is not None:
            return
        self._signal(self._part.stop_signal, to_group=False)
        asyncio.get_running_loop().call_later(self._part.stop_seconds, self._kill_if_it_still_runs, process)

    def _kill_if_it_still_runs(self, process: subprocess.Popen[bytes]) -> None:
        if self._running is process and not self._stopping:
            self._log.line(self.name, f"did not stop in {self._part.stop_seconds:.0f} s: killed")
            self._signal(signal.SIGKILL, to_group=True)

    def _signal(self, number: signal.Signals, *, to_group: bool) -> None:
        process = self._running
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if to_group else os.kill)(process.pid, number)


def how_it_ended(code: int) -> str:
    """In words."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


# Reads the process groups to end, a line at a time; the last line counts. At the end of the pipe: SIGTERM, up to 4 s
# for them to go, SIGKILL. Each group by itself, because one that is gone must not keep `kill` from the others.
REAPER = """
while read -r line; do groups=$line; done
each() { alive=0; for group in $groups; do kill -s "$1" -- "-$group" 2>/dev/null && alive=1; done; }
each TERM
tries=0
while [ "$tries" -lt 40 ] && each 0 && [ "$alive" = 1 ]; do sleep 0.1; tries=$((tries + 1)); done
each KILL
"""


class Reaper:
    """Ends process groups when we are killed with -9; `locks` are file descriptors it holds for as long as it lives.

    A tiny shell waits at the end of a pipe whose other end only this process holds; the kernel closes that end however
    we die. PR_SET_PDEATHSIG would do without a process, but only on Linux, and only with code between fork and exec.
    """

    def __init__(self, *, locks: Sequence[int] = ()) -> None:
        self._locks = locks
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
            ["/bin/sh", "-c", REAPER],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self._locks,
        )

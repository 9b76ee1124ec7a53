"""Keeps a part running: restarts it with back-off when it dies, puts a new process in its place, stops it when asked.

A part that is handed its sockets is replaced without a gap: the new process starts beside the old one, and the old one
is stopped when the new one is ready. If that never happens, for example because an edit is broken, the old one goes on.
"""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from local.activation import Notifications
from local.errors import LocalError
from local.parts import Part

FIRST_DELAY = 0.2
LONGEST_DELAY = 5.0
# After so long a run, the next failure is a new one.
STEADY_SECONDS = 10.0
# For a new process to be ready; until then the old one serves.
READY_SECONDS = 30.0
# For an old process that has been replaced: nobody waits for it.
RETIRE_SECONDS = 10.0
LONGEST_LINE = 64 * 1024
KEPT_LINES = 200


class Process:
    """One process of a part, from its start to its end; `on_event` is called when it is ready and when it has ended."""

    def __init__(self, part: Part, *, say: Callable[[str], None], on_event: Callable[[], None]) -> None:
        self.is_ready = False
        self._was_asked_to_stop = False
        self._part = part
        self._say = say
        self._on_event = on_event
        self._last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._notifications = Notifications(self._now_ready) if part.sockets else None
        environ = self._notifications.environ if self._notifications else {}
        try:
            self._popen = subprocess.Popen(
                part.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                **part.start_arguments(environ),
            )
        except OSError as error:
            raise LocalError(f"{part.name}: can't run {part.argv[0]}: {error.strerror}") from error
        if self._notifications:
            asyncio.get_running_loop().add_reader(self._notifications, self._notifications.receive)
        self._output = asyncio.create_task(self._copy_output(), name=f"output of {part.name}")

    @property
    def pid(self) -> int:
        """Its number, which is its process group's as well."""
        return self._popen.pid

    @property
    def code(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._popen.returncode

    def poll(self) -> None:
        """Look whether it has ended; called at every SIGCHLD."""
        if self.code is None and self._popen.poll() is not None:
            self._on_event()

    def stop(self) -> None:
        """Ask it to stop, by its own signal; once, because a service takes a second one for "at once"."""
        if not self._was_asked_to_stop:
            self._was_asked_to_stop = True
            self._signal(self._part.stop_signal, os.kill)

    def kill(self) -> None:
        """End it now, with its children."""
        self._signal(signal.SIGKILL, os.killpg)

    async def close(self) -> None:
        """After its end: take the last of its output."""
        # Its children may still hold the pipe.
        await asyncio.wait([self._output], timeout=0.5)
        self._output.cancel()
        if self._notifications:
            asyncio.get_running_loop().remove_reader(self._notifications)
            self._notifications.close()
            self._notifications = None

    def problem(self) -> str:
        """Why it has ended, from what it wrote."""
        return what_is_wrong(self._last_lines, self._part.folder) or how_it_ended(self.code or 0)

    def _now_ready(self) -> None:
        self.is_ready = True
        self._on_event()

    def _signal(self, number: signal.Signals, send: Callable[[int, int], None]) -> None:
        self.poll()
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                send(self.pid, number)

    async def _copy_output(self) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self._popen.stdout
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
        text = line.decode(errors="replace").rstrip("\r")
        self._last_lines.append(text)
        if (shown := self._part.tidy(text)) is not None:
            self._say(shown)


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


class Keeper:
    """Keeps a part running.

    `say` writes to the log. `on_change` is called when a process was started, replaced or ended; `on_broken` with what
    is wrong with the newest code, and with an empty text when it runs again; `on_failure` if the part can't be run.
    """

    def __init__(
        self,
        part: Part,
        *,
        say: Callable[[str], None],
        on_change: Callable[["Keeper"], None],
        on_broken: Callable[[str], None],
        on_failure: Callable[[LocalError], None],
    ) -> None:
        self.name = part.name
        self.prepared = asyncio.Event()
        self.starts = 0  # whether or not they succeeded; not those that another edit cut short
        self._part = part
        self._say = say
        self._on_change = on_change
        self._on_broken = on_broken
        self._on_failure = on_failure
        self._back_off = BackOff()
        self._current: Process | None = None
        self._processes: set[Process] = set()
        self._retiring: set[asyncio.Task[None]] = set()
        self._event = asyncio.Event()
        self._reason = ""
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The process that serves."""
        return self._current.pid if self._current else None

    @property
    def pids(self) -> list[int]:
        """All processes: also one that is starting and those that are stopping."""
        return [process.pid for process in self._processes]

    async def run(self) -> None:
        """Start it, and again whenever it ends, until `stop`."""
        try:
            for line in await asyncio.to_thread(self._part.prepare):
                self._say(line)
            self.prepared.set()
            while not self._stopping:
                await self._run_once()
        except LocalError as error:
            self._on_failure(error)

    def restart(self, reason: str) -> None:
        """Put a new process in the place of the one that runs; if none runs, start one without waiting any longer."""
        self._say(f"{reason}: restarting")
        self._reason = reason
        self._event.set()

    async def stop(self) -> None:
        """End it for good: by its own signal, and if that takes too long by SIGKILL."""
        self._stopping = True
        self._event.set()
        await asyncio.gather(*(self._end(process, self._part.stop_seconds) for process in list(self._processes)))

    def kill(self) -> None:
        """End it now."""
        self._stopping = True
        for process in self._processes:
            process.kill()

    def poll(self) -> None:
        """Look which processes have ended; called at every SIGCHLD."""
        for process in list(self._processes):
            process.poll()

    async def _run_once(self) -> None:
        """Start it, replace it as often as that is asked for, and wait before the next start."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._reason = ""
        self._current = self._start()
        self.starts += 1
        self._on_change(self)
        while True:
            await self._until(lambda: self._has_ended() or bool(self._reason) or self._stopping)
            if self._has_ended() or self._stopping or not self._part.sockets:
                break
            await self._replace()
        if self._stopping:
            return
        ended, self._current = self._current, None
        await self._end(ended, self._part.stop_seconds)
        if not self._reason and not self._stopping:
            delay = self._back_off.after(loop.time() - began)
            self._say(f"{how_it_ended(ended.code or 0)}; restarting in {delay:.1f} s")
            await self._until(lambda: bool(self._reason) or self._stopping, seconds=delay)

    async def _replace(self) -> None:
        """Start a process beside the one that serves, and let it take over when it is ready."""
        assert self._current is not None
        began = asyncio.get_running_loop().time()
        self._reason = ""
        old, new = self._current, self._start()
        self._on_change(self)
        await self._until(
            lambda: new.is_ready or new.code is not None or bool(self._reason) or self._stopping,
            seconds=READY_SECONDS,
        )
        if new.is_ready and new.code is None:
            self._current = new
            task = asyncio.create_task(self._end(old, RETIRE_SECONDS))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
            seconds = asyncio.get_running_loop().time() - began
            self.starts += 1
            self._say(f"process {new.pid} has taken over from process {old.pid} ({seconds:.1f} s)")
        else:
            late = f"not ready after {READY_SECONDS:.0f} s" if new.code is None else ""
            new.kill()
            await self._end(new, self._part.stop_seconds)
            if not self._reason and not self._stopping:
                problem = late or new.problem()
                self.starts += 1
                self._say(f"broken edit: {problem}; the version before it serves (process {old.pid})")
                self._on_broken(problem)
        self._on_change(self)

    def _start(self) -> Process:
        def on_event() -> None:
            if process.is_ready and process.code is None:
                self._on_broken("")
            self._event.set()

        process = Process(self._part, say=self._say, on_event=on_event)
        self._processes.add(process)
        return process

    async def _end(self, process: Process, seconds: float) -> None:
        """Stop a process if it runs, and forget it."""
        process.stop()
        await self._until(lambda: process.code is not None, seconds=seconds)
        if process.code is None:
            self._say(f"did not stop in {seconds:.0f} s: killed")
            process.kill()
            await self._until(lambda: process.code is not None)
        await process.close()
        self._processes.discard(process)
        self._on_change(self)

    def _has_ended(self) -> bool:
        return self._current is None or self._current.code is not None

    async def _until(self, condition: Callable[[], bool], *, seconds: float | None = None) -> None:
        """Return when the condition holds, or after so many seconds; each event lets it be looked at again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    self._event.clear()
                    await self._event.wait()


def how_it_ended(code: int) -> str:
    """In words."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


_PLACE = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
_FRAME = " |+-"  # in front of a line of an exception group


def what_is_wrong(output: Iterable[str], project: Path) -> str:
    """The place and the error of the last traceback, or the last line; the place is in our code if one of its is."""
    lines = [line.rstrip() for line in output if line.strip(_FRAME)]
    places = [(number, found) for number, line in enumerate(lines) if (found := _PLACE.search(line))]
    if not places:
        return lines[-1].strip() if lines else ""
    last, found = places[-1]
    # The error is the first line that is indented less than the place.
    error = next((line.lstrip(_FRAME) for line in lines[last:] if _indent(line) < found.start()), "")
    for _, place in places:
        if "site-packages" not in place["file"] and Path(place["file"]).is_relative_to(project):
            found = place
    file = Path(found["file"])
    shown = file.relative_to(project) if file.is_relative_to(project) else file
    return f"{shown}:{found['line']}: {error}"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(_FRAME))


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

"""The embedded servers for tests and tools: the same parts as `make up` runs, started and stopped one by one."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from local.errors import LocalError
from local.parts import Part
from local.postgres import postgres_part, postgres_url
from local.probe import POSTGRES_SOCKET, REDIS_SOCKET, postgres_answers, redis_answers, remove_sockets, socket_folder
from local.processes import Reaper
from local.redis import redis_part, redis_url

START_SECONDS = 20.0


class Server:
    """One server process, which can be stopped, killed and started again on the same data."""

    def __init__(self, part: Part, *, url: str, is_ready: Callable[[], bool], log: Path) -> None:
        self.name = part.name
        self.url = url
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self._part = part
        self._is_ready = is_ready
        self._reaper = Reaper()

    def start(self) -> None:
        """Start it and wait until it answers."""
        if self.process is not None:
            return
        self._part.prepare()
        deadline = time.monotonic() + START_SECONDS
        self.process = self._launch()
        while not self._is_ready():
            if time.monotonic() > deadline:
                self.kill()
                raise LocalError(f"{self.name} did not start:\n{self._last_lines()}")
            if self.process.poll() is not None:
                # After a kill -9 PostgreSQL refuses to start until the last of its old processes has left.
                self.process = self._launch()
            time.sleep(0.02)

    def stop(self) -> None:
        """End it as `make up` does; what it holds is on disk."""
        self._end(self._part.stop_signal)

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        self._reaper.close()

    def _launch(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self._part.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **self._part.start_arguments(),
            )
        self._reaper.watch([process.pid])
        return process

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        process, self.process = self.process, None
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, how)
        try:
            process.wait(self._part.stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._reaper.watch([])

    def _last_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[Server]:
    """A running PostgreSQL with an empty database `votes`, its data in the folder."""
    folder = folder.resolve()
    sockets = socket_folder(folder)
    part, url = postgres_part(folder / "postgres", sockets), postgres_url(sockets)
    server = Server(part, url=url, is_ready=partial(postgres_answers, sockets), log=folder / "postgres.log")
    with _started(server, sockets, POSTGRES_SOCKET):
        yield server


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[Server]:
    """A running, empty Redis, its data in the folder."""
    folder = folder.resolve()
    sockets = socket_folder(folder)
    part, url = redis_part(folder / "redis", sockets), redis_url(sockets)
    server = Server(part, url=url, is_ready=partial(redis_answers, sockets), log=folder / "redis.log")
    with _started(server, sockets, REDIS_SOCKET):
        yield server


@contextlib.contextmanager
def _started(server: Server, sockets: Path, socket: str) -> Iterator[None]:
    try:
        server.start()
        yield
    finally:
        server.close()
        remove_sockets(sockets, socket)

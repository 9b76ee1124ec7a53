"""The embedded servers for tests and tools: the same programs as `make up` runs, started and stopped one by one."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from local import answers
from local import postgres as postgresql
from local import redis as redis_server
from local.errors import LocalError
from local.guard import Guard
from local.programs import Program
from local.sockets import POSTGRES_SOCKET, REDIS_SOCKET, remove_sockets, socket_folder

START_SECONDS = 20.0


class Server:
    """One server process, which can be stopped, killed and started again on the same data."""

    def __init__(self, program: Program, *, url: str, is_ready: Callable[[], bool], log: Path) -> None:
        self.name = program.name
        self.url = url
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self._program = program
        self._is_ready = is_ready
        self._guard = Guard()

    def start(self) -> None:
        """Start it and wait until it answers."""
        if self.process is not None:
            return
        self._program.prepare()
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
        self._end(self._program.stop_signal)

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        self._guard.close()

    def _launch(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self._program.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **self._program.start_arguments(),
            )
        self._guard.watch([process.pid])
        return process

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        process, self.process = self.process, None
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, how)
        try:
            process.wait(self._program.stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._guard.watch([])

    def _last_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[Server]:
    """A running PostgreSQL with an empty database `votes`, its data in the folder."""
    folder = folder.resolve()
    sockets = socket_folder(folder)
    server = Server(
        postgresql.postgres_program(folder / "postgres", sockets),
        url=postgresql.postgres_url(sockets),
        is_ready=partial(answers.postgres, sockets),
        log=folder / "postgres.log",
    )
    try:
        server.start()
        yield server
    finally:
        server.close()
        remove_sockets(sockets, POSTGRES_SOCKET)


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[Server]:
    """A running, empty Redis, its data in the folder."""
    folder = folder.resolve()
    sockets = socket_folder(folder)
    server = Server(
        redis_server.redis_program(folder / "redis", sockets),
        url=redis_server.redis_url(sockets),
        is_ready=partial(answers.redis, sockets),
        log=folder / "redis.log",
    )
    try:
        server.start()
        yield server
    finally:
        server.close()
        remove_sockets(sockets, REDIS_SOCKET)

"""Where a contender is measured: a folder of its own, one core for the server and one for the load."""

import os
import shutil
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from bench.processes import Shell, answers, busy_seconds, on_core, pin
from bench.settings import HOST, PROJECT, BenchError, clean_environment
from local import servers
from local.errors import LocalError
from local.ports import free_port

T = TypeVar("T")


@dataclass(frozen=True)
class Running:
    """A server that runs: its port, and its first process."""

    port: int
    pid: int

    def busy_seconds(self) -> float:
        """The processor time that it has used so far."""
        return busy_seconds(self.pid)


@dataclass(frozen=True)
class Place:
    """Made anew for every round of every contender."""

    folder: Path
    shell: Shell
    server_core: int
    load_core: int
    seconds: float

    @contextmanager
    def server(self, module: str, *arguments: str, **environ: str) -> Iterator[Running]:
        """A contender that serves: a module on the server's core, once it answers.

        "{port}" in an argument or a setting is its port.
        """
        port = free_port(HOST)
        command = [sys.executable, "-m", module, *(each.replace("{port}", str(port)) for each in arguments)]
        own = {name: value.replace("{port}", str(port)) for name, value in environ.items()}
        with self.shell.serve(*command, ready=answers(port), core=self.server_core, HOST=HOST, **own) as process:
            yield Running(port, process.pid)

    def run(self, measurement: Coroutine[Any, Any, T], *, core: int) -> T:
        """What a measurement finds, which runs in this process, on one core; raises BenchError if it fails."""
        try:
            with on_core(core):
                return uvloop.run(measurement)
        except BenchError:
            raise
        except Exception as error:  # of PostgreSQL, of Redis, of a connection
            raise BenchError(f"{type(error).__name__}: {error}") from error

    def redis(self) -> AbstractContextManager[str]:
        """The address of an empty Redis, on the load's core."""
        return self._server(servers.redis, self.folder / "servers")

    def postgres(self, folder: Path | None = None) -> AbstractContextManager[str]:
        """The address of a PostgreSQL with an empty database, on the load's core; its data stays in a named folder."""
        return self._server(servers.postgres, folder or self.folder / "servers")

    @contextmanager
    def _server(self, opened: Callable[[Path], AbstractContextManager[servers.Server]], folder: Path) -> Iterator[str]:
        folder.mkdir(exist_ok=True)
        try:
            with opened(folder) as server:
                assert server.process is not None
                pin(server.process.pid, self.load_core)
                yield server.url
        except LocalError as error:
            raise BenchError(str(error)) from error


@contextmanager
def place(folder: Path, seconds: float) -> Iterator[Place]:
    """A place on the first two cores that we may use; on one core, both are the same."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shell = Shell(PROJECT, clean_environment(), folder / "log")
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    try:
        yield Place(folder, shell, server_core=cores[0], load_core=cores[1 % len(cores)], seconds=seconds)
    finally:
        shutil.rmtree(folder / "servers", ignore_errors=True)

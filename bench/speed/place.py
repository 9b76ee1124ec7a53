"""Where a contender is measured: a folder and two cores of its own, and processes that are gone afterwards."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.speed.processes import HOST as HOST
from bench.speed.processes import answers as answers
from bench.speed.processes import children as children
from bench.speed.processes import clean_environment as clean_environment
from bench.speed.processes import end, pinned, wait
from bench.speed.processes import listens as listens
from bench.speed.processes import pin as pin
from local import servers
from local.environment import PROJECT
from local.ports import free_port


@dataclass(frozen=True)
class Place:
    """Made anew for every round of every contender."""

    folder: Path
    server_core: int
    load_core: int
    seconds: float

    @contextmanager
    def process(
        self,
        argv: Sequence[str],
        *,
        core: int,
        environ: Mapping[str, str] | None = None,
        ready: Callable[[], bool] = lambda: True,
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """A process on one core, once it is ready; ended at the end. What it says goes to a log in the folder."""
        log = self.folder / f"{Path(argv[0]).name}-{core}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*pinned(core), *argv],
                cwd=PROJECT,
                env=clean_environment() | dict(environ or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            wait(process, ready, log)
            yield process
        finally:
            end(process)

    def python(self, module: str, *arguments: str) -> list[str]:
        """The command for one of our modules."""
        return [sys.executable, "-m", module, *arguments]

    def run(self, argv: Sequence[str], *, core: int, timeout: float = 60.0) -> str:
        """What a command on one core prints; raises BenchError."""
        try:
            done = subprocess.run(
                [*pinned(core), *argv], capture_output=True, text=True, timeout=timeout, cwd=PROJECT, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BenchError(f"{argv[0]}: {error}") from error
        if done.returncode:
            raise BenchError(f"{argv[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    @contextmanager
    def redis(self, core: int | None = None) -> Iterator[servers.Server]:
        """An empty Redis on this core, the load's if none is named."""
        with servers.redis(self._server_folder()) as server:
            pin(_pid(server), self.load_core if core is None else core)
            yield server

    @contextmanager
    def postgres(self, core: int | None = None) -> Iterator[servers.Server]:
        """A PostgreSQL with an empty database `votes`, on this core, the load's if none is named."""
        with servers.postgres(self._server_folder()) as server:
            pin(_pid(server), self.load_core if core is None else core)
            yield server

    def port(self) -> int:
        """A free port of loopback."""
        return free_port(HOST)

    def _server_folder(self) -> Path:
        folder = self.folder / "servers"
        folder.mkdir(exist_ok=True)
        return folder


@contextmanager
def place(folder: Path, seconds: float) -> Iterator[Place]:
    """A place on the first two cores that we may use; on one core, both are the same."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    try:
        yield Place(folder, server_core=cores[0], load_core=cores[1 % len(cores)], seconds=seconds)
    finally:
        shutil.rmtree(folder / "servers", ignore_errors=True)


def _pid(server: servers.Server) -> int:
    if server.process is None:
        raise BenchError(f"{server.name} is gone: look at {server.log}")
    return server.process.pid

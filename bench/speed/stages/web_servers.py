"""The servers of the HTTP stages: the vote service, the floor of its stack, and the ancestor's way."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.speed.place import HOST, Place, answers, children
from bench.speed.stages.load import SECRET_KEY

GUNICORN_WORKERS = 4
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Running:
    """A server that runs: its port, and its first process."""

    port: int
    pid: int

    def busy_seconds(self) -> float:
        """The processor time that it and its children have used so far; 0 where the system doesn't tell."""
        return sum(busy_seconds(pid) for pid in [self.pid, *children(self.pid)])


# Opened at a place, with the address of Redis.
Server = Callable[[Place, str], AbstractContextManager[Running]]


def vote(**environ: str) -> Server:
    """The vote service as it is, with further settings."""

    @contextmanager
    def serve(place: Place, redis_url: str) -> Iterator[Running]:
        port = place.port()
        own = {"REDIS_URL": redis_url, "VOTE_PORT": str(port), "SECRET_KEY": SECRET_KEY, "HOST": HOST, **environ}
        argv = place.python("vote")
        with place.process(argv, core=place.server_core, environ=own, ready=answers(port)) as process:
            yield Running(port, process.pid)

    return serve


def ok(kind: str) -> Server:
    """Quart's "ok" on Hypercorn ("quart"), or one without Quart ("bare")."""

    @contextmanager
    def serve(place: Place, redis_url: str) -> Iterator[Running]:
        port = place.port()
        argv = place.python("bench.speed.stages.ok_app", kind, str(port))
        with place.process(argv, core=place.server_core, ready=answers(port)) as process:
            yield Running(port, process.pid)

    return serve


@contextmanager
def flask(place: Place, redis_url: str) -> Iterator[Running]:
    """Flask under gunicorn."""
    if importlib.util.find_spec("gunicorn") is None:
        raise BenchError("gunicorn is not installed: `make bench` installs it")
    port = place.port()
    argv = [sys.executable, "-m", "gunicorn", "--workers", str(GUNICORN_WORKERS), "--bind", f"{HOST}:{port}"]
    argv += ["--no-control-socket", "bench.speed.stages.flask_app:create_app()"]
    environ = {"REDIS_URL": redis_url}
    with place.process(argv, core=place.server_core, environ=environ, ready=answers(port)) as process:
        yield Running(port, process.pid)


def busy_seconds(pid: int) -> float:
    """The processor time that a process has used so far; 0 where the system doesn't tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS

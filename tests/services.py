"""Our services as processes of their own, started as `make up` starts them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.ports import free_port
from tests.waiting import eventually

PROJECT = Path(__file__).parent.parent


@dataclass
class Service:
    """A running service; `kill` ends it as a crash does."""

    name: str
    process: subprocess.Popen[bytes]
    url: str
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=10))

    def get(self, path: str) -> httpx.Response:
        return self.client.get(self.url + path)

    def is_ready(self) -> bool:
        assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}"
        return self.get("/readyz").status_code == httpx.codes.OK

    def until_ready(self) -> None:
        eventually(self.is_ready, within=30, saying=f"{self.name} is ready", despite=(httpx.TransportError,))

    def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        lines = self.get("/metrics").text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def service(
    name: str, *, redis_url: str, database_url: str = "postgresql:///unused", log: str = "", **more: str
) -> Iterator[Service]:
    """Start vote, worker or result on a free port; at the end it is asked to stop, and must do so."""
    port = free_port()
    environment = os.environ | {
        "REDIS_URL": redis_url,
        "DATABASE_URL": database_url,
        f"{name.upper()}_PORT": str(port),
        "PYTHONWARNINGS": "error",
        **more,
    }
    with Path(log).open("ab") if log else nullcontext() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", name], cwd=PROJECT, env=environment, stdout=output, stderr=output
        )
    running = Service(name, process, f"http://127.0.0.1:{port}")
    try:
        with running.client:
            yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                running.kill()
                raise

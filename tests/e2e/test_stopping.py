"""SIGTERM ends the dashboard's service in time, whoever watches."""

import base64
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from local.running import Running
from tests.ports import free_ports
from tests.system import PROJECT
from tests.waiting import eventually, is_quick

STOP_SECONDS = 5.0

# since Python 3.12.1 a server waits for its open connections when it stops
pytestmark = pytest.mark.platform


@contextmanager
def result(poll: Running, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The service by itself, and its port."""
    (port,) = free_ports(1)
    environment = {**os.environ, "DATABASE_URL": poll.database_url, "RESULT_PORT": str(port)}
    with log.open("wb") as output:
        command = [sys.executable, "-m", "result"]
        process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=output, stderr=output)
        try:
            eventually(
                lambda: httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == httpx.codes.OK,
                within=20,
                despite=(httpx.HTTPError,),
            )
            yield process, port
        finally:
            process.kill()
            process.wait()


def viewer(port: int) -> socket.socket:
    """A viewer that takes in as little as can be, and after the handshake never reads nor answers."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", port))
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET /ws HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert connection.recv(12) == b"HTTP/1.1 101"
    return connection


def test_it_ends_in_time_with_viewers_that_never_read_nor_answer(poll: Running, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def ends() -> float:
        with result(poll, log) as (process, port), ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(viewer(port))
            half = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            half.sendall(b"GET / HTTP/1.1\r\nHost: loc")
            idle = stack.enter_context(httpx.Client())
            idle.get(f"http://127.0.0.1:{port}/healthz")
            seconds = _terminate(process)
        assert process.returncode == 0
        assert "Traceback" not in log.read_text()
        return seconds

    is_quick(ends, within=STOP_SECONDS)


def _terminate(process: subprocess.Popen[bytes]) -> float:
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    return time.monotonic() - began

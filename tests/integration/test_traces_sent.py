"""Traces as a service of its own sends them, or does not."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from local import servers
from tests.e2e.test_stopping import STOP_SECONDS
from tests.ports import free_port
from tests.services import service
from tests.waiting import eventually, is_quick

WITHOUT_OPENTELEMETRY = """
import sys
sys.modules["opentelemetry"] = None
from common.lifecycle import run
import {name}.__main__ as service
run("{name}", service.main)
"""


class Collector:
    """Takes what is sent, as a collector of traces does."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.path.encode() + self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever)
    thread.start()
    yield collector
    collector.server.shutdown()
    thread.join()
    collector.server.server_close()


def test_a_service_that_stops_has_sent_its_traces(redis: servers.Server, collector: Collector) -> None:
    with service("vote", redis_url=redis.url, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, PYTHONWARNINGS="") as vote:
        vote.until_ready()
        assert httpx.post(f"{vote.url}/api/votes", json={"vote": "a"}).status_code == 202

    sent = b"".join(collector.bodies)
    assert sent.startswith(b"/v1/traces")
    assert b"tallyho-vote" in sent
    assert b"POST /api/votes" in sent


@pytest.mark.parametrize("listening", [False, True], ids=["gone", "deaf"])
def test_a_collector_that_does_not_answer_holds_nobody_up(redis: servers.Server, listening: bool) -> None:
    def ends() -> float:
        with socket.socket() as collector:
            collector.bind(("127.0.0.1", 0))
            if listening:
                collector.listen()
            endpoint = f"http://127.0.0.1:{collector.getsockname()[1]}"
            with service("vote", redis_url=redis.url, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, PYTHONWARNINGS="") as vote:
                vote.until_ready()
                assert httpx.post(f"{vote.url}/api/votes", json={"vote": "a"}).status_code == 202
                vote.process.terminate()
                began = time.monotonic()
                assert vote.process.wait(30) == 0
                return time.monotonic() - began

    is_quick(ends, within=STOP_SECONDS)


@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:9"])
@pytest.mark.parametrize("name", ["vote", "worker", "result"])
def test_a_service_runs_without_opentelemetry(name: str, endpoint: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = {
        "REDIS_URL": f"unix://{tmp_path}/none",
        "DATABASE_URL": f"postgresql:///none?host={tmp_path}",
        f"{name.upper()}_PORT": str(free_port()),
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", WITHOUT_OPENTELEMETRY.format(name=name)], env=environment, stdout=output
        )
    try:
        eventually(lambda: "serving" in log.read_text(), within=30)
    finally:
        process.terminate()
        assert process.wait(30) == 0
    assert ("traces_off" in log.read_text()) == bool(endpoint)

"""The real services under a small load, and a real Prometheus that asks them."""

import math
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import redis
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from local import servers
from local.prometheus import prometheus_part
from tests.ports import free_port
from tests.services import Service, service
from tests.waiting import eventually


class Prometheus:
    """Its HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer; fails with Prometheus' own words."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def values(self, expression: str) -> list[float]:
        """The numbers that a query gives, without those that are none."""
        result = self.ask("query", query=expression)["result"]
        return [value for sample in result if not math.isnan(value := float(sample["value"][1]))]

    def is_ready(self) -> bool:
        return httpx.get(f"{self.url}/-/ready").status_code == 200

    def until_there_is(self, expression: str) -> list[float]:
        """Wait until a query gives numbers."""
        return eventually(lambda: self.values(expression), within=40, saying=f"{expression} gives data")


@contextmanager
def prometheus_beside(binary: str, folder: Path, services: list[Service]) -> Iterator[Prometheus]:
    """Prometheus as `make up OBSERVE=1` runs it, but asking every second."""
    port = free_port()
    urls = {each.name: each.url for each in services}
    part = prometheus_part(binary, folder, host="127.0.0.1", port=port, urls=urls)
    part.prepare()
    config = folder / "prometheus.yml"
    config.write_text(config.read_text().replace("_interval: 5s", "_interval: 1s"))
    process = subprocess.Popen(part.argv, **part.start_arguments())
    running = Prometheus(f"http://127.0.0.1:{port}")
    try:
        eventually(running.is_ready, within=40, despite=(httpx.TransportError,))
        yield running
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def system_under_load(folder: Path) -> Iterator[list[Service]]:
    """All three services, while somebody votes, somebody changes a vote, somebody looks and something is rejected."""
    with ExitStack() as stack:
        queue = stack.enter_context(servers.redis(folder))
        database = stack.enter_context(servers.postgres(folder))
        started = [
            stack.enter_context(service(name, redis_url=queue.url, database_url=database.url))
            for name in ("vote", "worker", "result")
        ]
        for each in started:
            each.until_ready()
        stop = threading.Event()
        vote, _, result = started
        for work, argument in ((_vote, vote.url), (_look, result.url), (_spoil, queue.url)):
            thread = threading.Thread(target=work, args=(argument, stop))
            thread.start()
            stack.callback(thread.join, 20)
        stack.callback(stop.set)
        yield started


def _vote(url: str, stop: threading.Event) -> None:
    with httpx.Client(base_url=url) as faithful:
        while not stop.wait(0.1):
            for option in "ab":
                faithful.post("/api/votes", json={"vote": option})
            httpx.post(f"{url}/", data={"vote": "a"})  # somebody new


def _look(url: str, stop: threading.Event) -> None:
    with connect(url.replace("http", "ws") + "/ws") as socket, suppress(ConnectionClosed):
        while not stop.is_set():
            with suppress(TimeoutError):
                socket.recv(timeout=0.5)


def _spoil(url: str, stop: threading.Event) -> None:
    with redis.Redis.from_url(url) as client:
        while not stop.wait(0.5):
            client.rpush("votes", b"nonsense")

"""How services end: the first signal gently, the second at once; a failing loop takes its service along."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from quart import Quart

from common import systemd
from common.connections import LAST_CALL_SECONDS
from common.health import Health
from common.lifecycle import serve
from tests.ports import free_port
from tests.services import service
from tests.waiting import eventually

pytestmark = pytest.mark.platform


def test_the_first_signal_ends_a_service_without_an_error(tmp_path: Path) -> None:
    with service("vote", redis_url=f"unix://{tmp_path}/redis.sock") as vote:
        eventually(lambda: vote.get("/healthz").is_success, within=30, despite=(httpx.TransportError,))

        vote.process.send_signal(signal.SIGTERM)

        assert vote.process.wait(30) == 0


def test_the_second_signal_ends_a_service_at_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with service("vote", redis_url=f"unix://{tmp_path}/redis.sock", log=str(log)) as vote:
        eventually(lambda: vote.get("/healthz").is_success, within=30, despite=(httpx.TransportError,))
        host, port = vote.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            # a body that does not end: its answer stays open until the deadline
            slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n")
            slow.sendall(b"Content-Length: 9\r\n\r\nv")
            vote.process.send_signal(signal.SIGINT)
            eventually(lambda: "stopping" in log.read_text(), within=30)
            vote.process.send_signal(signal.SIGTERM)

            assert vote.process.wait(30) == 128 + signal.SIGTERM


async def test_a_loop_that_fails_ends_its_service_with_its_error() -> None:
    """Better started again than half alive."""

    async def fails() -> None:
        await asyncio.sleep(0)
        raise LookupError("the loop's own error")

    async with asyncio.timeout(20) as deadline:
        with pytest.raises(ExceptionGroup) as caught:
            await serve(Quart(__name__), bind=("127.0.0.1", free_port()), health=Health(), loops=(fails(),))

    assert not deadline.expired()
    assert caught.group_contains(LookupError, match="the loop's own error")


async def test_a_loop_that_loses_a_cancellation_is_ended_all_the_same() -> None:
    lost: list[bool] = []

    async def loses() -> None:
        signal.raise_signal(signal.SIGTERM)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        lost.append(True)
        await asyncio.Event().wait()

    async with asyncio.timeout(20):
        await serve(Quart(__name__), bind=("127.0.0.1", free_port()), health=Health(), loops=(loses(),))

    assert lost == [True]


async def test_a_service_that_stops_says_so_before_it_does(tmp_path: Path) -> None:
    health = Health()
    closed: list[bool] = []

    async def stops() -> None:
        signal.raise_signal(signal.SIGTERM)

    async def close() -> None:
        closed.append(health.stopping)

    async with asyncio.timeout(20):
        await serve(
            Quart(__name__),
            bind=("127.0.0.1", free_port()),
            health=health,
            loops=(stops(),),
            close=close,
        )

    assert closed == [True]


async def test_a_service_with_nobody_connected_ends_at_once() -> None:
    """Whoever is connected and silent has some seconds; that is no reason to wait for nobody."""
    loop = asyncio.get_running_loop()
    asked: list[float] = []

    async def stops() -> None:
        asked.append(loop.time())
        signal.raise_signal(signal.SIGTERM)

    await serve(Quart(__name__), bind=("127.0.0.1", free_port()), health=Health(), loops=(stops(),))

    assert loop.time() - asked[0] < LAST_CALL_SECONDS


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket that a supervisor holds, and this process is handed a copy of."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(systemd, "take_sockets", lambda name: [listener.dup()] if name == "http" else [])
        yield listener


async def test_a_service_that_was_handed_its_socket_takes_nobody_until_it_is_ready(handed: socket.socket) -> None:
    """Another process serves until then, and from its end on: the socket stays open."""
    is_asked, is_ready = asyncio.Event(), asyncio.Event()

    async def ready() -> None:
        is_asked.set()
        await is_ready.wait()

    async with asyncio.timeout(20):
        bind = ("127.0.0.1", 1)  # which is not opened
        serving = asyncio.create_task(serve(Quart(__name__), bind=bind, health=Health(), ready=ready))
        await is_asked.wait()
        with socket.create_connection(handed.getsockname()):
            for _ in range(10):
                await asyncio.sleep(0)
            handed.accept()[0].close()  # nobody else has taken it

        is_ready.set()
        reader, writer = await asyncio.open_connection(*handed.getsockname())
        writer.write(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 404")

        signal.raise_signal(signal.SIGTERM)
        writer.close()
        await serving
        with socket.create_connection(handed.getsockname()):
            handed.accept()[0].close()

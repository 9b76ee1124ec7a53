"""Clients that send slowly, never read, or are just there: whoever votes or watches meanwhile does not notice."""

import asyncio
import contextlib
import errno
import json
import resource
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import httpx
import pytest
from websockets.asyncio.client import connect as connect_viewer

from common import server
from common.connections import HEADERS_SECONDS
from tests.robustness.conftest import Services
from tests.robustness.figures import tried
from tests.robustness.raw import connect, request, websocket_handshake
from tests.waiting import eventually_async

IDLE = 2000
SLOW = 100
GENEROUS_SECONDS = 45.0  # about counts, not about speed: the machine has other things to do


@pytest.fixture(scope="module")
def many_files() -> Iterator[None]:
    """Enough files for this process, which holds the clients' ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * IDLE + 500
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"this process may have {hard} files, {needed} are needed: raise ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def clients(number: int, url: str, sent: bytes) -> Iterator[list[socket.socket]]:
    """So many connections on which this was sent, and then nothing more."""
    with ExitStack() as stack:
        opened = [stack.enter_context(connect(url)) for _ in range(number)]
        for each in opened:
            with contextlib.suppress(ConnectionError):
                each.sendall(sent)
        yield opened


async def others_vote_and_watch(services: Services, votes: int = 20) -> None:
    """Voters vote, each accepted; a viewer that comes now sees them all counted."""
    async with httpx.AsyncClient(timeout=GENEROUS_SECONDS) as voter:
        before = (await voter.get(f"{services.result.url}/api/tally")).json()["total"]
        for _ in range(votes):
            voter.cookies.clear()
            answer = await voter.post(f"{services.vote.url}/api/votes", json={"vote": "a"})
            assert answer.status_code == 202
        async with asyncio.timeout(GENEROUS_SECONDS):
            async for snapshot in snapshots(services):
                if snapshot["total"] >= before + votes:
                    return


async def snapshots(services: Services) -> AsyncIterator[dict[str, int]]:
    address = services.result.url.replace("http://", "ws://") + "/ws"
    async with connect_viewer(address, open_timeout=GENEROUS_SECONDS) as viewer:
        async for text in viewer:
            yield json.loads(text)


async def test_no_viewer_can_have_us_compress(services: Services) -> None:
    address = services.result.url.replace("http://", "ws://") + "/ws"
    async with connect_viewer(address, compression="deflate", open_timeout=GENEROUS_SECONDS) as viewer:
        assert "total" in json.loads(await viewer.recv())
        assert viewer.protocol.extensions == []


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("name", ["vote", "result"])
async def test_thousands_of_silent_connections_disturb_nobody(services: Services, name: str) -> None:
    with clients(IDLE, services.url_of(name), b"") as idle:
        assert len(idle) == IDLE
        tried("silent connections held", IDLE)
        await others_vote_and_watch(services)
    assert services.all_alive()


@pytest.mark.usefixtures("many_files")
async def test_thousands_of_viewers_that_never_read_disturb_nobody(services: Services) -> None:
    with clients(IDLE // 2, services.result.url, websocket_handshake()):
        await eventually_async(lambda: viewers(services, IDLE // 2), within=GENEROUS_SECONDS)
        tried("viewers held that never read", IDLE // 2)
        await others_vote_and_watch(services)
    await eventually_async(lambda: viewers(services, 0), within=GENEROUS_SECONDS)


async def viewers(services: Services, number: int) -> bool:
    now = await asyncio.to_thread(services.result.metric, "viewers")
    return now >= number if number else now == 0


@pytest.mark.parametrize("name", ["vote", "result"])
async def test_headers_a_byte_a_second_disturb_nobody_and_are_ended(services: Services, name: str) -> None:
    with clients(SLOW, services.url_of(name), b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ") as slow:
        tried("clients held that send headers a byte a second", SLOW)
        dripping = asyncio.create_task(drip(slow))
        await others_vote_and_watch(services)
        assert await dripping <= GENEROUS_SECONDS
    assert services.all_alive()


async def drip(slow: list[socket.socket]) -> float:
    """Send each a byte a second until the service has ended them all; returns the seconds it took."""
    began = time.monotonic()
    alive = list(slow)
    while alive and time.monotonic() - began < GENEROUS_SECONDS:
        alive = [each for each in alive if not is_ended(each)]
        await asyncio.sleep(1)
    assert not alive
    assert time.monotonic() - began > HEADERS_SECONDS / 2
    return time.monotonic() - began


@pytest.mark.parametrize("name", ["vote", "result"])
def test_a_connection_that_is_used_no_more_is_ended(services: Services, name: str) -> None:
    with connect(services.url_of(name)) as connection:
        connection.settimeout(GENEROUS_SECONDS)
        for _ in range(3):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(10_000).startswith(b"HTTP/1.1 200")
        began = time.monotonic()

        assert connection.recv(10_000) == b""
        assert time.monotonic() - began > HEADERS_SECONDS / 2


def is_ended(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"x")
        connection.setblocking(False)
        return connection.recv(1000) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(5)


async def test_bodies_that_never_end_disturb_nobody_and_are_refused(services: Services) -> None:
    headers = {b"Content-Type": b"application/json", b"Content-Length": b"4000"}
    with clients(SLOW, services.vote.url, request("POST", b"/api/votes", headers, b'{"vote": ')) as slow:
        tried("clients held whose bodies never end", SLOW)
        await others_vote_and_watch(services)
        answers = await asyncio.to_thread(lambda: [read_all(each) for each in slow])
    assert {answer[:12] for answer in answers} == {b"HTTP/1.1 408"}


def read_all(connection: socket.socket) -> bytes:
    connection.settimeout(GENEROUS_SECONDS)
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no limit for unread data")
def test_what_the_kernel_keeps_of_an_ended_connection_ends_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """By an option of the listening socket. Here sooner, so that the test need not wait."""
    monkeypatch.setattr(server, "UNREAD_SECONDS", 1)
    listener = socket.create_server(("127.0.0.1", 0))
    server.prepare(listener)
    with listener, socket.create_connection(listener.getsockname()):
        listener.settimeout(GENEROUS_SECONDS)
        server_side, _ = listener.accept()
        with server_side:
            server_side.settimeout(None)
            with pytest.raises(OSError, match="timed out") as ended:
                server_side.sendall(b"x" * 100_000_000)
    assert ended.value.errno == errno.ETIMEDOUT
    tried("clients held that never read", 1)

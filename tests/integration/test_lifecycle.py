"""How services end: the first signal gently, the second at once; a failing loop takes its service along."""

import asyncio
import signal
import socket
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from quart import Quart

from common.lifecycle import serve
from common.ops import Health
from tests.ports import free_port
from tests.services import service
from tests.waiting import eventually


def test_the_first_signal_ends_a_service_without_an_error(tmp_path: Path) -> None:
    with service("vote", redis_url=f"unix://{tmp_path}/redis.sock") as vote:
        eventually(lambda: vote.get("/healthz").is_success, within=30, despite=(httpx.TransportError,))

        vote.process.send_signal(signal.SIGTERM)

        assert vote.process.wait(30) == 0


def test_the_second_signal_ends_a_service_at_once(tmp_path: Path) -> None:
    with service("vote", redis_url=f"unix://{tmp_path}/redis.sock") as vote:
        eventually(lambda: vote.get("/healthz").is_success, within=30, despite=(httpx.TransportError,))
        host, port = vote.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            # a body that does not end: its answer stays open until the deadline
            slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n")
            slow.sendall(b"Content-Length: 9\r\n\r\nv")
            vote.process.send_signal(signal.SIGINT)
            vote.process.send_signal(signal.SIGTERM)

            assert vote.process.wait(30) in (128 + signal.SIGINT, 128 + signal.SIGTERM)


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

"""An idle connection is ended in time, one that is used is not."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Updated

from common.idle import _Server

IDLE, BUSY = Updated(idle=True), Updated(idle=False)


class Ended:
    """Stands for the connection's tasks; notes that one is begun, which would end it."""

    def __init__(self) -> None:
        self.count = 0
        self.event = asyncio.Event()

    def spawn(self, end: Callable[[], Any]) -> None:
        self.count += 1
        self.event.set()


def server(ended: Ended, seconds: float) -> _Server:
    config = Config()
    config.keep_alive_timeout = seconds
    unused: Any = None
    made = _Server(unused, asyncio.get_running_loop(), config, WorkerContext(None), unused, unused, unused)
    made._task_group = ended  # type: ignore[assignment]
    return made


async def test_a_connection_that_stays_idle_is_ended_once() -> None:
    ended = Ended()
    await server(ended, 0.001).protocol_send(IDLE)

    async with asyncio.timeout(10):
        await ended.event.wait()
    assert ended.count == 1


@pytest.mark.parametrize("requests", [1, 3])
async def test_a_connection_in_use_is_not_ended(requests: int) -> None:
    ended, other = Ended(), Ended()
    used = server(ended, 0.001)
    for _ in range(requests):
        await used.protocol_send(IDLE)
        await used.protocol_send(BUSY)

    # by now the timers of the first would have gone off, too
    await server(other, 0.002).protocol_send(IDLE)
    async with asyncio.timeout(10):
        await other.event.wait()
    assert ended.count == 0


async def test_each_answer_begins_the_time_anew() -> None:
    ended = Ended()
    used = server(ended, 0.001)
    for _ in range(5):
        await used.protocol_send(IDLE)

    async with asyncio.timeout(10):
        await ended.event.wait()
    assert ended.count == 1

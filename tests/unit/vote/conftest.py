"""The vote service with a queue in memory."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from quart import Quart

from common.ops import Health
from common.settings import Settings
from tests.fakes import FakeVoteQueue
from vote.app import create_app
from vote.pusher import VotePusher


@pytest.fixture
def queue() -> FakeVoteQueue:
    return FakeVoteQueue()


@pytest.fixture
async def app(queue: FakeVoteQueue) -> AsyncIterator[Quart]:
    pusher = VotePusher(queue)
    running = asyncio.create_task(pusher.run())
    settings = Settings(options={"a": "Cats", "b": "<Dogs>", "c": "Birds"})
    yield create_app(settings, pusher, Health({"redis": queue.ping}))
    running.cancel()

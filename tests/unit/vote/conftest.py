"""The vote service with a queue in memory."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from quart import Quart

from common.health import Health
from common.settings import Settings
from common.tasks import end
from tests.fakes import FakeVoteQueue
from vote.app import create_app
from vote.pusher import VotePusher


@pytest.fixture
def queue() -> FakeVoteQueue:
    return FakeVoteQueue()


@pytest.fixture
async def pusher(queue: FakeVoteQueue) -> AsyncIterator[VotePusher]:
    pusher = VotePusher(queue)
    running = asyncio.create_task(pusher.run())
    yield pusher
    await end(running)


@pytest.fixture
def app(pusher: VotePusher, queue: FakeVoteQueue) -> Quart:
    settings = Settings(options={"a": "Cats", "b": "<Dogs>", "c": "Birds"})
    return create_app(settings, pusher, Health({"redis": queue.ping}))

"""The vote service for any ASGI server: `hypercorn bench.edits.asgi:app --reload`, which ours is compared with."""

import asyncio
from collections.abc import AsyncGenerator

from common.health import Health
from common.settings import Settings
from common.vote_queue import VoteQueue
from vote.app import create_app
from vote.pusher import VotePusher

settings = Settings.from_env()
queue = VoteQueue(settings.redis_address)
pusher = VotePusher(queue)
app = create_app(settings, pusher, Health({"redis": queue.check_writable}))


@app.while_serving
async def push() -> AsyncGenerator[None, None]:
    """Push votes as long as the server serves."""
    pushing = asyncio.create_task(pusher.run())
    yield
    pushing.cancel()

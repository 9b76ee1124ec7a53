"""Runs the vote service: `python -m vote`."""

import asyncio
from contextlib import suppress

import structlog

from common.counting import DELAYED_SECONDS
from common.lifecycle import run, serve
from common.ops import Health
from common.overview import Overview
from common.queue_watch import QueueWatch
from common.roll import Roll
from common.settings import DEVELOPMENT_KEY, Settings
from common.vote_queue import QueueUnavailable, VoteQueue
from vote.announce import announce
from vote.app import create_app
from vote.door import Door
from vote.exchange import exchange_counts
from vote.poll import Poll
from vote.pusher import VotePusher

READY_SECONDS = 1.5  # for Redis; one that is away is waited for with each vote

log = structlog.get_logger()


async def main(settings: Settings) -> None:
    """Open the queue, hand it over, and serve until a signal comes."""
    warn_of_development_key(settings)
    async with VoteQueue.open(settings.redis_address) as queue, Roll.open(settings.redis_address) as roll:
        pusher, watch, poll = VotePusher(queue), QueueWatch(queue), Poll(settings.ballot)
        health = Health({"redis": queue.check_writable})
        door = Door(settings, roll)
        app = create_app(settings, pusher, health, lambda: counting_is_delayed(watch.overview), door=door, poll=poll)
        counts = exchange_counts(settings.redis_address, door.limits)
        loops = (pusher.run(), watch.run(), poll.watch(queue), counts, announce(settings.redis_address))
        bind = (settings.host, settings.vote_port)

        async def ready() -> None:
            """Return when votes have a way to the queue and pages know the poll, as far as Redis is there."""
            with suppress(QueueUnavailable, TimeoutError):
                async with asyncio.timeout(READY_SECONDS):
                    await queue.until_pushable()
                    await poll.look(queue)

        await serve(
            app,
            bind=bind,
            health=health,
            tls=settings.tls,
            limits=settings.connection_limits,
            loops=loops,
            ready=ready,
        )


def counting_is_delayed(overview: Overview | None) -> bool:
    """Whether accepted votes wait for too long; False also when nobody can know."""
    age = overview.oldest_seconds() if overview else None
    return age is not None and age > DELAYED_SECONDS


def warn_of_development_key(settings: Settings) -> None:
    """Settings for production refuse this key; in development, everybody can read it in the code."""
    if settings.secret_key == DEVELOPMENT_KEY:
        log.warning(
            "development_key_in_use", advice="set a SECRET_KEY of your own: whoever knows it can vote as anybody"
        )


if __name__ == "__main__":
    run("vote", main)

"""Runs the vote service: `python -m vote`."""

import asyncio
from contextlib import suppress

import structlog

from common.health import Health
from common.lifecycle import run, serve
from common.queue_monitor import QueueMonitor
from common.settings import DEVELOPMENT_KEY, Settings
from common.vote_queue import QueueUnavailable, VoteQueue
from common.voter_roll import VoterRoll
from vote.admission import Admission, keep_sharing_counts
from vote.app import create_app
from vote.heartbeat import send_heartbeats
from vote.pusher import VotePusher
from vote.voter import Poll

READY_SECONDS = 1.5  # for Redis; one that is away is waited for with each vote

log = structlog.get_logger()


async def main(settings: Settings) -> None:
    """Open the queue and the roll, and serve until a signal comes."""
    warn_of_development_key(settings)
    redis = settings.redis_address
    async with VoteQueue.open(redis) as queue, VoterRoll.open(redis) as roll:
        pusher, monitor, poll = VotePusher(queue), QueueMonitor(queue), Poll(settings.ballot)
        health = Health({"redis": queue.check_writable})
        admission = Admission(settings, roll)
        app = create_app(settings, pusher, health, monitor.counting_is_delayed, admission=admission, poll=poll)
        sharing = keep_sharing_counts(redis, admission.limits)
        loops = (pusher.run(), monitor.run(), poll.watch(queue), sharing, send_heartbeats(redis))
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


def warn_of_development_key(settings: Settings) -> None:
    """In production the settings refuse this key; in development it works, though everybody can read it in the code."""
    if settings.secret_key == DEVELOPMENT_KEY:
        log.warning(
            "development_key_in_use", advice="set a SECRET_KEY of your own: whoever knows it can vote as anybody"
        )


if __name__ == "__main__":
    run("vote", main)

"""Runs the vote service: `python -m vote`."""

import structlog

from common.counting import DELAYED_SECONDS
from common.door_settings import DEVELOPMENT_KEY
from common.lifecycle import CannotStart, run, serve
from common.ops import Health
from common.overview import Overview
from common.queue_watch import QueueWatch
from common.roll import Roll
from common.settings import Settings
from common.vote_queue import VoteQueue
from vote.app import create_app
from vote.door import Door
from vote.exchange import exchange_counts
from vote.poll import Poll
from vote.pusher import VotePusher

log = structlog.get_logger()


async def main(settings: Settings) -> None:
    """Open the queue, hand it over, and serve until a signal comes."""
    check_key(settings)
    async with VoteQueue.open(settings.redis_address) as queue, Roll.open(settings.redis_address) as roll:
        pusher, watch, poll = VotePusher(queue), QueueWatch(queue), Poll(settings.ballot)
        health = Health({"redis": queue.ping})
        door = Door(settings, roll)
        app = create_app(settings, pusher, health, lambda: counting_is_delayed(watch.overview), door=door, poll=poll)
        loops = (pusher.run(), watch.run(), poll.watch(queue), exchange_counts(settings.redis_address, door.limits))
        bind = (settings.host, settings.vote_port)
        await serve(app, bind=bind, health=health, tls=settings.tls, loops=loops)


def counting_is_delayed(overview: Overview | None) -> bool:
    """Whether accepted votes wait for too long; False also when nobody can know."""
    age = overview.oldest_seconds() if overview else None
    return age is not None and age > DELAYED_SECONDS


def check_key(settings: Settings) -> None:
    """Warn of the development key, which everybody can read in the code; in production, raise CannotStart."""
    if settings.secret_key != DEVELOPMENT_KEY:
        return
    if settings.tallyho_env == "production":
        raise CannotStart(
            "SECRET_KEY is the development key, which everybody knows: whoever has it can vote as anybody. "
            "Set SECRET_KEY or SECRET_KEY_FILE to a secret of your own, for example of: openssl rand -hex 32"
        )
    log.warning("development_key_in_use", advice="set a SECRET_KEY of your own: whoever knows it can vote as anybody")


if __name__ == "__main__":
    run("vote", main)

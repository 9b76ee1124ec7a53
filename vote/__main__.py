"""Runs the vote service: `python -m vote`."""

from common.lifecycle import run, serve
from common.ops import Health
from common.queue_watch import QueueWatch
from common.roll import Roll
from common.settings import Settings
from common.vote_queue import VoteQueue
from vote.app import create_app
from vote.delay import counting_is_delayed
from vote.door import Door
from vote.exchange import exchange_counts
from vote.key import check_key
from vote.pusher import VotePusher


async def main(settings: Settings) -> None:
    """Open the queue, hand it over, and serve until a signal comes."""
    check_key(settings)
    async with VoteQueue.open(settings.redis_address) as queue, Roll.open(settings.redis_address) as roll:
        pusher = VotePusher(queue)
        health = Health({"redis": queue.ping})
        watch = QueueWatch(queue)
        door = Door(settings, roll)
        app = create_app(settings, pusher, health, lambda: counting_is_delayed(watch.overview), door=door)
        loops = (pusher.run(), watch.run(), exchange_counts(settings.redis_address, door.limits))
        bind = (settings.host, settings.vote_port)
        await serve(app, bind=bind, health=health, tls=settings.tls, limits=settings.connection_limits, loops=loops)


if __name__ == "__main__":
    run("vote", main)

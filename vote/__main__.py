"""Runs the vote service: `python -m vote`."""

from common.lifecycle import run, serve
from common.ops import Health
from common.settings import Settings
from common.vote_queue import VoteQueue
from vote.app import create_app
from vote.pusher import VotePusher


async def main(settings: Settings) -> None:
    """Open the queue, hand it over, and serve until a signal comes."""
    async with VoteQueue.open(settings.redis_address) as queue:
        pusher = VotePusher(queue)
        health = Health({"redis": queue.ping})
        app = create_app(settings, pusher, health)
        await serve(app, bind=(settings.host, settings.vote_port), health=health, loops=(pusher.run(),))


if __name__ == "__main__":
    run("vote", main)

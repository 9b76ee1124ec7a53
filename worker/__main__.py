"""Runs the worker: `python -m worker`."""

from quart import Quart

from common.lifecycle import run, serve
from common.ops import Health, ops_routes
from common.queue_watch import QueueWatch
from common.settings import Settings
from common.vote_queue import VoteQueue
from worker.counter import Status, Stop, count_votes


async def main(settings: Settings) -> None:
    """Open the queue and count until a signal comes."""
    async with VoteQueue.open(settings.redis_address) as queue:
        status, stop = Status(), Stop()
        health = Health({"redis": queue.ping, "counting": status.check})
        app = Quart("worker")
        app.register_blueprint(ops_routes(health))
        counting = count_votes(settings.database_url, queue, settings.batch_size, status, stop)
        await serve(
            app,
            bind=(settings.host, settings.worker_port),
            health=health,
            limits=settings.connection_limits,
            loops=(counting, QueueWatch(queue).run()),
            purpose="metrics",
            ready=status.settled.wait,
            close=stop.now,
        )


if __name__ == "__main__":
    run("worker", main)

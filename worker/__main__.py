"""Runs the worker: `python -m worker`."""

from quart import Quart

from common.health import Health, health_routes
from common.lifecycle import run, serve
from common.queue_monitor import QueueMonitor
from common.settings import Settings
from common.vote_queue import VoteQueue
from worker.counter import Status, Stop, count_votes


async def main(settings: Settings) -> None:
    """Open the queue and count until a signal comes."""
    async with VoteQueue.open(settings.redis_address) as queue:
        status, stop = Status(), Stop()
        health = Health({"redis": queue.ping, "counting": status.check})
        app = Quart("worker")
        app.register_blueprint(health_routes(health))
        counting = count_votes(settings.database_url, queue, settings.batch_size, status, stop)
        await serve(
            app,
            bind=(settings.host, settings.worker_port),
            health=health,
            limits=settings.connection_limits,
            loops=(counting, QueueMonitor(queue).run()),
            purpose="metrics",
            ready=status.started.wait,
            close=stop.now,
        )


if __name__ == "__main__":
    run("worker", main)

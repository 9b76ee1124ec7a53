"""Runs the result service: `python -m result`."""

import asyncio

from common.lifecycle import run, serve
from common.ops import Health
from common.settings import Settings
from common.vote_queue import VoteQueue
from result.app import create_app
from result.board import Board
from result.pipeline import open_sources
from result.viewers import Viewers
from result.watch import watch_tally


async def main(settings: Settings) -> None:
    """Keep the board fresh, and serve it until a signal comes; Redis is only looked at, by the pipeline page."""
    viewers = Viewers()
    tried = asyncio.Event()
    board = Board(settings.ballot, viewers)
    health = Health({"tally": board.check})
    async with (
        VoteQueue.open(settings.redis_address) as queue,
        open_sources(
            *(queue, settings.redis_address, settings.database_url, viewers.count), redis_is_set=settings.redis_is_set
        ) as sources,
    ):
        app = create_app(settings, board, health, sources)
        await serve(
            app,
            bind=(settings.host, settings.result_port),
            health=health,
            tls=settings.tls,
            limits=settings.connection_limits,
            loops=(watch_tally(settings.database_url, board.show, viewers.count, tried), board.beat()),
            ready=tried.wait,
            close=viewers.close,
        )


if __name__ == "__main__":
    run("result", main)

"""Runs the result service: `python -m result`."""

from common.lifecycle import run, serve
from common.ops import Health
from common.settings import Settings
from result.app import create_app
from result.board import Board
from result.viewers import Viewers
from result.watch import watch_tally


async def main(settings: Settings) -> None:
    """Keep the board fresh, and serve it until a signal comes."""
    viewers = Viewers()
    board = Board(settings.ballot, viewers)
    health = Health({"tally": board.check})
    app = create_app(settings, board, health)
    await serve(
        app,
        bind=(settings.host, settings.result_port),
        health=health,
        loops=(watch_tally(settings.database_url, board.show), board.beat()),
        close=viewers.close,
    )


if __name__ == "__main__":
    run("result", main)

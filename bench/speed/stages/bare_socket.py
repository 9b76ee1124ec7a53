"""The limit of the viewers: Hypercorn on uvloop and nothing else, which sends the same bytes at the same pace.

`python -m bench.speed.stages.bare_socket PORT VIEWERS`. It begins when all of them are there.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any

import hypercorn.asyncio
import uvloop
from hypercorn.config import Config

from bench.speed.place import HOST
from bench.speed.stages.watchers import UPDATES_PER_SECOND
from common.connection_limits import raise_file_limit
from common.server import BACKLOG
from common.settings import Settings
from result.tally import Tally, snapshot


class Clock:
    """Has a new text ten times a second; whoever is late gets the newest."""

    def __init__(self, viewers: int) -> None:
        self.text = ""
        self._missing = viewers
        self._complete = asyncio.Event()
        self._ticked = asyncio.Event()

    async def run(self) -> None:
        ballot = Settings.from_env().ballot
        await self._complete.wait()
        while True:
            now = datetime.now(UTC)
            self.text = json.dumps(snapshot(Tally({"a": 1000, "b": 1000}, now, now), ballot))
            ticked, self._ticked = self._ticked, asyncio.Event()
            ticked.set()
            await asyncio.sleep(1 / UPDATES_PER_SECOND)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the text of every tick."""
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        self._missing -= 1
        if self._missing == 0:
            self._complete.set()
        seen = ""
        while True:
            if self.text == seen:
                await self._ticked.wait()
            seen = self.text
            await send({"type": "websocket.send", "text": seen})


async def main(port: int, viewers: int) -> None:
    """Serve until a signal comes."""
    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.backlog = BACKLOG
    clock = Clock(viewers)
    ticking = asyncio.create_task(clock.run())
    await hypercorn.asyncio.serve(clock.app, config)
    ticking.cancel()


if __name__ == "__main__":
    raise_file_limit()
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))

"""The board: the tally that was read last, and who is to see it."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

from common.ballot import Ballot
from common.web import rfc3339
from result.tally import Tally, snapshot
from result.viewers import Viewers

HEARTBEAT_SECONDS = 2.5  # how often viewers get the tally without a change, so that silence means trouble
STALE_SECONDS = 6.0  # a tally that was read longer ago does not know the present


class NotReadYet(Exception):
    """The tally has not been read since the service began."""


class Board:
    """Holds the tally for those who ask, and hands it to those who watch."""

    def __init__(self, ballot: Ballot, viewers: Viewers) -> None:
        self.viewers = viewers
        self._ballot = ballot
        self._tally: Tally | None = None

    def show(self, tally: Tally) -> None:
        """Take a tally that was just read; viewers get it at once if it says something new."""
        news = not tally.says_the_same_as(self._tally)
        self._tally = tally
        if news:
            self._show_viewers()

    async def beat(self) -> None:
        """Show viewers the newest tally again and again: also how long ago it was read, when it can't be read."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            if self._tally is not None:
                self._show_viewers()

    def _show_viewers(self) -> None:
        self.viewers.show(json.dumps(self.snapshot()))

    def snapshot(self) -> dict[str, Any]:
        """The newest tally as viewers get it; raises NotReadYet."""
        if self._tally is None:
            raise NotReadYet
        return snapshot(self._tally, self._ballot)

    def stale_since(self) -> str | None:
        """When the tally was last known, if that is too long ago; raises NotReadYet."""
        if self._tally is None:
            raise NotReadYet
        age = (datetime.now(UTC) - self._tally.read_at).total_seconds()
        return rfc3339(self._tally.read_at) if age > STALE_SECONDS else None

    async def check(self) -> None:
        """Raise unless the board knows the present."""
        if self._tally is None:
            raise ConnectionError("the tally has not been read yet")
        if since := self.stale_since():
            raise ConnectionError(f"the tally was last read at {since}")

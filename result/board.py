"""The board: the tally that was read last, and who is to see it."""

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import Gauge

from common.ballot import Ballot
from common.web import rfc3339
from result.news import News
from result.tally import Tally, snapshot
from result.viewers import Viewers

HEARTBEAT_SECONDS = 2.5  # how often viewers get the tally without a change, so that silence means trouble
CLOCK_TOLERANCE = timedelta(seconds=1)  # below that a clock is only corrected
STALE_SECONDS = 6.0  # a tally that was read longer ago does not know the present

READ_AT = Gauge("tally_read_timestamp_seconds", "Unix time at which the tally was last read; 0 before the first time.")


class NotReadYet(Exception):
    """The tally has not been read since the service began."""


class Board:
    """Holds the tally for those who ask, and hands it to those who watch."""

    def __init__(self, ballot: Ballot, viewers: Viewers) -> None:
        self.viewers = viewers
        self._ballot = ballot
        self._tally: Tally | None = None
        self._shown_at = 0.0  # by the clock that nobody sets

    def show(self, tally: Tally) -> None:
        """Take a tally that was just read; viewers get it at once if it says something new."""
        READ_AT.set(tally.read_at.timestamp())
        before, self._tally = self._tally, tally
        self._shown_at = time.monotonic()
        if not tally.says_the_same_as(before):
            is_newer = before is not None and tally.as_of != before.as_of
            self._show_viewers(News(tally.hint, tally.as_of if is_newer else None))

    async def beat(self) -> None:
        """Show viewers the newest tally again and again: also how long ago it was read, when it can't be read."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            if self._tally is not None:
                self._show_viewers()

    def _show_viewers(self, news: News | None = None) -> None:
        self.viewers.show(json.dumps(self.snapshot()), news)

    def snapshot(self) -> dict[str, Any]:
        """The newest tally as viewers get it; raises NotReadYet."""
        if self._tally is None:
            raise NotReadYet
        return snapshot(replace(self._tally, read_at=self._read_at(self._tally)), self._ballot)

    def stale_since(self) -> str | None:
        """When the tally was last known, if that is too long ago; raises NotReadYet."""
        if self._tally is None:
            raise NotReadYet
        read_at = self._read_at(self._tally)
        age = (datetime.now(UTC) - read_at).total_seconds()
        return rfc3339(read_at) if age > STALE_SECONDS else None

    def _read_at(self, tally: Tally) -> datetime:
        """When it was read, by the clock as it is now: one that was set back would make an old tally look fresh."""
        latest = datetime.now(UTC) - timedelta(seconds=time.monotonic() - self._shown_at)
        return latest if tally.read_at > latest + CLOCK_TOLERANCE else tally.read_at

    async def check(self) -> None:
        """Raise unless the board knows the present."""
        if self._tally is None:
            raise ConnectionError("the tally has not been read yet")
        if since := self.stale_since():
            raise ConnectionError(f"the tally was last read at {since}")

"""Rate limits: how many votes a voter, and an address, may send in a minute.

Counted in memory, because a vote that waited for a second answer of Redis would be a slower vote; `vote/exchange.py`
adds up what several vote services have counted, behind the voters' backs. Who came in the last minute is forgotten
with it.
"""

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from prometheus_client import Counter

from common.web import Refused

WINDOW_SECONDS = 60
MOST_COUNTED = 100_000  # of each kind: beyond it, whoever is new in this minute is not counted

VOTES_LIMITED = Counter("votes_limited", "Votes refused because too many came in a minute.", ["per"])


class Limit:
    """Counts the votes of each voter, or from each address, in the present minute."""

    def __init__(self, per: str, most: int, *, now: Callable[[], float] = time.time) -> None:
        self.per = per
        self.most = most
        self.window = 0
        self._now = now
        self._own: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._others: dict[str, int] = {}
        VOTES_LIMITED.labels(per)  # there from the start, as zero

    def count(self, who: str) -> None:
        """Count one vote; raises Refused when it is one too many."""
        if not self.most:
            return
        self._turn()
        count = self._own.get(who, 0) + 1
        if count > 1 or len(self._own) < MOST_COUNTED:
            self._own[who] = count
        if count + self._others.get(who, 0) > self.most:
            VOTES_LIMITED.labels(self.per).inc()
            raise too_many(self.per, seconds=self._seconds_left())

    def news(self) -> dict[str, int]:
        """What was counted since the last news, of those who have come often enough to matter to other services."""
        self._turn()
        matters = max(self.most // 10, 1)
        news = {who: count - self._told.get(who, 0) for who, count in self._own.items() if count >= matters}
        return {who: count for who, count in news.items() if count}

    def learn(self, window: int, news: Mapping[str, int], totals: Mapping[str, int]) -> None:
        """Take in what all services together have counted, after our news were added."""
        if window != self.window:
            return
        for who, count in news.items():
            self._told[who] = self._told.get(who, 0) + count
        self._others |= {who: total - self._told.get(who, 0) for who, total in totals.items()}

    def _turn(self) -> None:
        window = int(self._now() // WINDOW_SECONDS)
        if window != self.window:
            self.window = window
            self._own, self._told, self._others = {}, {}, {}

    def _seconds_left(self) -> int:
        return WINDOW_SECONDS - int(self._now() % WINDOW_SECONDS)


def too_many(per: str, *, seconds: int) -> Refused:
    """The answer to one vote too many."""
    source = "this browser" if per == "voter" else "your network"
    return Refused(
        429,
        "too_many_votes",
        f"Too many votes came from {source} in a minute.",
        f"Please vote again in {seconds} seconds." if seconds > 1 else "Please vote again in a second.",
        retry_after=seconds,
    )


@lru_cache(10_000)
def source_of(address: str | None) -> str | None:
    """Whom an address is counted for; None for this machine itself.

    This machine is its owner, who puts load on it, or a proxy that nobody named: to limit either would be to shut out
    everybody at once. An IPv6 network of 64 bits is one household, which has 2^64 addresses to choose from.
    """
    try:
        ip = ip_address((address or "").partition("%")[0])
    except ValueError:  # a UNIX socket has none
        return None
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback:
        return None
    return f"{IPv6Address(int(ip) >> 64 << 64)}/64" if isinstance(ip, IPv6Address) else str(ip)

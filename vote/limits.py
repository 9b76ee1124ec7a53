"""Rate limits: how many votes a voter, an address, and a network, may send in a minute.

Counted in memory, because a vote that waited for a second answer of Redis would be a slower vote; `vote/exchange.py`
adds up what several vote services have counted, behind the voters' backs. Who came in the last minute is forgotten
with it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from prometheus_client import Counter

from common.addresses import ip_of, network_of
from common.web import Refused

WINDOW_SECONDS = 60
MOST_COUNTED = 100_000  # of each kind: beyond it, whoever is new in this minute is not counted

# Prefixes under which translators put IPv4 addresses (RFC 6052, RFC 7915 and RFC 8215).
NAT64, SIIT, LOCAL_NAT64 = map(IPv6Network, ("64:ff9b::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48"))

VOTES_LIMITED = Counter("votes_limited", "Votes refused because too many came in a minute.", ["per"])


class Limit:
    """Counts the votes of each voter, or from each address, in the present minute.

    `per` is what is counted for: "voter", "address", "network" (of addresses), or "code" (wrong ones of an address).
    """

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
            raise self._refusal()

    def check(self, who: str) -> None:
        """Raise Refused when one more would be one too many, counting nothing."""
        self._turn()
        if self.most and self._own.get(who, 0) + self._others.get(who, 0) >= self.most:
            raise self._refusal()

    def news(self) -> dict[str, int]:
        """The counts that have changed since they were told, where they are high enough to matter to other services."""
        self._turn()
        matters = max(self.most // 10, 1)
        return {who: count for who, count in self._own.items() if count >= matters and count != self._told.get(who)}

    def learn(self, window: int, told: Mapping[str, int], others: Mapping[str, int]) -> None:
        """Take in what the other services have counted; `told` are our counts that they know now."""
        if window != self.window:
            return
        self._told |= told
        self._others |= others

    def _turn(self) -> None:
        window = int(self._now() // WINDOW_SECONDS)
        if window != self.window:
            self.window = window
            self._own, self._told, self._others = {}, {}, {}

    def _refusal(self) -> Refused:
        VOTES_LIMITED.labels(self.per).inc()
        return too_many(self.per, seconds=WINDOW_SECONDS - int(self._now() % WINDOW_SECONDS))


def too_many(per: str, *, seconds: int) -> Refused:
    """The answer to one vote too many."""
    what = "wrong codes" if per == "code" else "votes"
    source = "this browser" if per == "voter" else "your network"
    return Refused(
        429,
        "too_many_votes",
        f"Too many {what} came from {source} in a minute.",
        f"Please vote again in {seconds} seconds." if seconds > 1 else "Please vote again in a second.",
        retry_after=seconds,
    )


@dataclass(frozen=True, slots=True)
class Source:
    """Whom an address is counted for: a household, and the network that it is one of, if there is one to tell."""

    address: str
    network: str | None = None


@lru_cache(10_000)
def source_of(address: str | None) -> Source | None:
    """Whom an address is counted for; None for this machine itself.

    This machine is its owner, who puts load on it, or a proxy that nobody named: to limit either would be to shut out
    everybody at once. Who is given an IPv6 network of 48 bits has 65,536 households' networks of 64.
    """
    ip = ip_of(address or "")
    if ip is None or ip.is_loopback:
        return None
    if isinstance(ip, IPv4Address):
        return Source(str(ip))
    if translated := _translated(ip):
        return Source(translated)
    return Source(network_of(ip, 64), network_of(ip, 48))


def _translated(ip: IPv6Address) -> str | None:
    """Whom an IPv6 address is counted for that is an IPv4 address in disguise; their networks are everybody's."""
    if inside := ip.sixtofour or (ip.teredo and ip.teredo[1]):
        return str(inside)
    if ip in NAT64 or ip in SIIT:
        return str(IPv4Address(int(ip) & 0xFFFFFFFF))
    if ip in LOCAL_NAT64:  # where the IPv4 address is in it, only its operator knows
        return str(ip)
    return None

"""Admission: whose votes are taken, and how many a minute.

Rate limits are counted in memory, because waiting for a second answer from Redis would make every vote slower. Once a
second the vote services share what they have counted, in the background, so that all of them together have one limit.
While Redis can't be reached, each goes by its own count. With the minute, its counts are forgotten.

Where codes are required, only voters on the voter roll may vote.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from itertools import islice
from typing import Protocol

from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from common.origin import ip_of, network_of
from common.redis_client import client
from common.settings import Settings
from common.voter_roll import voter_of_code
from common.web import Refused
from vote.voter import Voter

WINDOW_SECONDS = 60
MOST_COUNTED = 100_000  # of each kind: beyond that, newcomers of this minute are not counted

# A multiple of the limit per address for an IPv6 /48, and the fraction of it that may have wrong codes.
NETWORK_TIMES = 10
WRONG_CODES_PART = 10

SHARE_SECONDS = 1.0
SHARE_TIMEOUT_SECONDS = 1.5
MOST_SHARED = 1000  # at a time; the rest follows with the next

# Prefixes under which translators put IPv4 addresses (RFC 6052, RFC 7915 and RFC 8215).
NAT64, SIIT, LOCAL_NAT64 = map(IPv6Network, ("64:ff9b::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48"))

VOTES_LIMITED = Counter("votes_limited", "Votes refused because too many came in a minute.", ["per"])
CODES_REFUSED = Counter("codes_refused", "Votes refused because their code is not on the voter roll.")


class Roll(Protocol):
    async def has(self, voter_id: str) -> bool: ...


class Admission:
    """Decides which votes are taken; `roll` is None where everybody may vote.

    A vote passes `count_address` before its body is read, and then `admit`, which counts the voter.
    """

    def __init__(self, settings: Settings, roll: Roll | None = None) -> None:
        self.requires_code = settings.voter_codes == "on"
        if self.requires_code and roll is None:
            raise ValueError("where codes are required, admission needs the voter roll")
        self._roll = roll
        self._secret_key = settings.secret_key
        per_address = settings.limit_per_address
        self._per_voter = RateLimit("voter", settings.limit_per_voter)
        self._per_address = RateLimit("address", per_address)
        self._per_network = RateLimit("network", per_address * NETWORK_TIMES)
        # rounded up: at least one, where there is a limit
        self._wrong_codes = RateLimit("code", -(-per_address // WRONG_CODES_PART))

    @property
    def limits(self) -> Sequence["RateLimit"]:
        """The limits in force."""
        every = (self._per_voter, self._per_address, self._per_network, self._wrong_codes)
        return [limit for limit in every if limit.most]

    def count_address(self, address: str | None) -> None:
        """Count a vote before it is read; raises Refused when it is one too many from this address."""
        source = source_of(address)
        if source is None:
            return
        self._per_address.count(source.address)
        if source.network:  # after the address: votes refused to one household must not use up the network's limit
            self._per_network.count(source.network)

    def count_voter(self, voter: Voter) -> None:
        """Count a voter's vote; raises Refused when it is one too many. `admit` does this as well."""
        if not voter.is_new:  # a new voter can't have voted too often
            self._per_voter.count(voter.id)

    async def admit(self, voter: Voter, code: str, *, address: str | None = None) -> Voter:
        """Whose vote this is: the code's voter, or the one in the cookie.

        Raises Refused, and whatever the roll raises when it can't be asked.
        """
        source = source_of(address)
        if self.requires_code and code:
            if source:
                self._wrong_codes.check(source.address)
            voter = self._voter_of(code, voter)
        self.count_voter(voter)  # before the roll is asked, so that this also limits questions to the roll
        if self.requires_code and (voter.is_new or not await self._is_on_roll(voter)):
            if code and source:
                self._wrong_codes.count(source.address)
            raise self._refusal(code)
        return voter

    def _voter_of(self, code: str, voter: Voter) -> Voter:
        """The code's voter, with this browser's series and number."""
        voter_id = voter_of_code(self._secret_key, code)
        return voter if voter.id == voter_id else replace(voter, id=voter_id, choice=None, is_new=False)

    async def _is_on_roll(self, voter: Voter) -> bool:
        assert self._roll is not None
        return await self._roll.has(voter.id)

    def _refusal(self, code: str) -> Refused:
        if not code:
            return Refused(
                403, "code_needed", "This poll needs a code.", "Enter the code that you were given, and vote."
            )
        CODES_REFUSED.inc()
        return Refused(403, "wrong_code", "This code is not valid.", "Please check it and try again.")


class RateLimit:
    """Counts votes in the current minute.

    `per` is what they are counted by: "voter", "address", "network" (of addresses), or "code" (wrong codes by address).
    """

    def __init__(self, per: str, most: int, *, now: Callable[[], float] = time.time) -> None:
        self.per = per
        self.most = most
        self.window = 0
        self._now = now
        self._own: dict[str, int] = {}
        self._shared: dict[str, int] = {}
        self._others: dict[str, int] = {}
        VOTES_LIMITED.labels(per)  # exists from the start, as zero

    def count(self, who: str) -> None:
        """Count one vote; raises Refused when it is one too many."""
        if not self.most:
            return
        self._start_window()
        count = self._own.get(who, 0) + 1
        if count > 1 or len(self._own) < MOST_COUNTED:
            self._own[who] = count
        if count + self._others.get(who, 0) > self.most:
            raise self._refusal()

    def check(self, who: str) -> None:
        """Raise Refused when one more would be too many, without counting."""
        self._start_window()
        if self.most and self._own.get(who, 0) + self._others.get(who, 0) >= self.most:
            raise self._refusal()

    def unshared(self) -> dict[str, int]:
        """The counts that have changed since they were shared, if they are high enough to matter to other services."""
        self._start_window()
        matters = max(self.most // 10, 1)
        return {who: count for who, count in self._own.items() if count >= matters and count != self._shared.get(who)}

    def learn(self, window: int, shared: Mapping[str, int], others: Mapping[str, int]) -> None:
        """Take over what the other services have counted; `shared` are our counts that they know now."""
        if window != self.window:
            return
        self._shared |= shared
        self._others |= others

    def _start_window(self) -> None:
        window = int(self._now() // WINDOW_SECONDS)
        if window != self.window:
            self.window = window
            self._own, self._shared, self._others = {}, {}, {}

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


async def keep_sharing_counts(url: str, limits: Sequence[RateLimit]) -> None:
    """Share the counts of these limits with the other vote services, again and again."""
    service = secrets.token_hex(4)
    async with client(url, SHARE_TIMEOUT_SECONDS) as redis:
        while True:
            await asyncio.sleep(SHARE_SECONDS)
            for limit in limits:
                with contextlib.suppress(RedisError, OSError, TimeoutError):
                    await share_counts(redis, limit, service)


async def share_counts(redis: Redis, limit: RateLimit, service: str) -> None:
    """Write one limit's changed counts, and read what the other services have counted.

    Each service writes its own count, whole, into a field of its own: repeating it after a lost answer changes nothing.
    Only those who have used up a tenth of their limit are shared, so usually there is nothing to send.
    """
    own = dict(islice(limit.unshared().items(), MOST_SHARED))
    window = limit.window
    if not own:
        return
    async with redis.pipeline(transaction=False) as pipeline:
        for who, count in own.items():
            key = f"votes:limit:{limit.per}:{window}:{who}"
            pipeline.hset(key, service, str(count))
            pipeline.expire(key, 2 * WINDOW_SECONDS)
            pipeline.hgetall(key)
        answers = await pipeline.execute()
    others = (sum(int(count) for name, count in counts.items() if name.decode() != service) for counts in answers[2::3])
    limit.learn(window, own, dict(zip(own, others, strict=True)))


@dataclass(frozen=True, slots=True)
class Source:
    """Whom an address is counted for: a household, and the network it belongs to, where that can be told."""

    address: str
    network: str | None = None


@lru_cache(10_000)
def source_of(address: str | None) -> Source | None:
    """Whom an address is counted for; None for this machine itself.

    Loopback is either the owner, who runs a load test, or a proxy that is not in TRUSTED_PROXIES: limiting either would
    lock out everybody at once. An IPv6 /48 has 65,536 household networks (/64).
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
    """Whom an IPv6 address that stands for an IPv4 address is counted for; everybody shares those networks."""
    if inside := ip.sixtofour or (ip.teredo and ip.teredo[1]):
        return str(inside)
    if ip in NAT64 or ip in SIIT:
        return str(IPv4Address(int(ip) & 0xFFFFFFFF))
    if ip in LOCAL_NAT64:  # only its operator knows where in it the IPv4 address is
        return str(ip)
    return None

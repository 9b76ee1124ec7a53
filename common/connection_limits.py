"""How many connections there may be, in total and from one address.

A connection beyond a limit is closed at once, before a task or a buffer is made for it. This machine's own health
checks have places that nobody else can take. The log has one line when a limit is reached and one when there is room
again, however many are turned away in between.
"""

import resource
from collections import Counter as Counts
from ipaddress import IPv6Address

import structlog
from prometheus_client import Counter, Gauge

from common.origin import ip_of, network_of
from common.settings import ConnectionLimits

# Each connection needs a file. Many systems start a program with a limit of 1,024 and let it raise that. This is enough
# for anybody: some systems report "unlimited" as a number that no system call accepts.
MOST_FILES = 65_536
FILES_KEPT = 100  # for everything that is not a client's connection: servers, logs, files being sent
PLACES_KEPT = 20  # of these, for this machine itself when all others are taken
ROOM = 0.9  # of a limit: below it there is room again

OPEN = Gauge("connections_open", "Open connections of clients.")
MOST = Gauge("connections_limit", "The most connections clients may have open.")
REFUSED = Counter(
    "connections_refused",
    "Connections closed at once: too many in total, too many from one address, or no files left.",
    ["limit"],
)

log = structlog.get_logger()


class ConnectionLimiter:
    """Counts the connections of a service, and decides who may connect."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._most = min(limits.most or MOST_FILES, most_by_files())
        self._most_per_address = limits.most_per_address or MOST_FILES
        self._trusted = limits.trusted
        self._open = 0
        self._from: Counts[str] = Counts()
        self._full: set[str] = set()  # the limits that were reached: "total", "files" or an address
        MOST.set(self._most)
        for limit in ("total", "address", "files"):
            REFUSED.labels(limit)  # exists from the start, as zero

    def admit(self, address: str) -> str | None:
        """The place that this connection takes, to be given back with `leave`; None when it is one too many."""
        place, is_ours = self._place_of(address)
        if self._open >= self._most + (PLACES_KEPT if is_ours else 0):
            self._refuse("total", "total", self._most)
            return None
        if place and self._from[place] >= self._most_per_address:
            self._refuse("address", place, self._most_per_address)
            return None
        self._open += 1
        OPEN.set(self._open)
        if place:
            self._from[place] += 1
        return place

    def leave(self, place: str) -> None:
        """A connection has ended."""
        self._open -= 1
        OPEN.set(self._open)
        if place:
            self._from[place] -= 1
            self._note_room(place, self._from[place], self._most_per_address)
            if not self._from[place]:
                del self._from[place]
        self._note_room("total", self._open, self._most)
        self._note_room("files", self._open, self._most)

    def no_files_left(self) -> None:
        """The system had no file for a waiting connection."""
        self._refuse("files", "files", self._open)

    def _refuse(self, limit: str, what: str, most: int) -> None:
        REFUSED.labels(limit).inc()
        if what not in self._full:
            self._full.add(what)
            log.warning("connections_full", limit=what, most=most, open=self._open)

    def _note_room(self, what: str, count: int, most: int) -> None:
        if what in self._full and count <= ROOM * most:
            self._full.discard(what)
            log.info("connections_have_room", limit=what, open=self._open)

    def _place_of(self, address: str) -> tuple[str, bool]:
        """Whom a connection is counted for, "" for nobody; and whether it comes from this machine itself."""
        ip = ip_of(address)
        if ip is None:
            return "", False
        if ip.is_loopback or any(ip in network for network in self._trusted):
            return "", ip.is_loopback
        return network_of(ip, 64) if isinstance(ip, IPv6Address) else str(ip), False


def most_by_files() -> int:
    """How many connections this process has files for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MOST_FILES if soft == resource.RLIM_INFINITY else min(soft, MOST_FILES)
    return max(files - FILES_KEPT, files // 2)


def raise_file_limit() -> None:
    """Raise this process's file limit as far as allowed: many systems' default is low for a hall full of phones."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (ValueError, OSError):  # macOS promises more than it gives
            log.debug("file_limit_kept", files=soft)

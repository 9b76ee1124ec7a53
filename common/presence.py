"""Who is running, as Redis and PostgreSQL see it: services are known by the names of their connections.

Naming a connection is not a write, so Redis accepts it even when it is full, paused or read-only, which is when it
matters. The name disappears with the connection, and Redis itself tells how long the connection has been silent.
PostgreSQL shows the names of connections to every role.
"""

import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

HEARTBEAT_SECONDS = 1.0  # how often a vote service reports
RECENT_SECONDS = 10  # the period that its report covers
SILENT_SECONDS = 5  # a service that has not reported for longer hangs
MOST_SHOWN = 50

# The worker that counts holds this advisory lock. The number is arbitrary, as long as no other program takes it.
COUNTING_LOCK = 7_411_905_502
# Every worker names its connection to PostgreSQL so, followed by its host and process.
WORKER = "tallyho-worker"

_NAME = re.compile(r"vote-service/([!-.0-~]{1,100})/(\d{1,9})/(\d{1,9})/(\d{1,9})")
_NOT_IN_NAMES = re.compile(r"[^!-.0-~]")


@dataclass(frozen=True, slots=True)
class VoteService:
    """A vote service, and what became of the votes it received in the last seconds."""

    name: str  # host:process
    accepted: int
    refused: int  # because of the vote or its voter
    unrecorded: int  # the voter was told to vote again: the queue did not take the vote, or may have taken it
    silent_seconds: int = 0

    @property
    def is_silent(self) -> bool:
        return self.silent_seconds > SILENT_SECONDS


def connection_name(service: VoteService) -> str:
    """The name by which a vote service reports."""
    name = _NOT_IN_NAMES.sub("_", service.name)[:100]
    return f"vote-service/{name}/{service.accepted}/{service.refused}/{service.unrecorded}"


async def list_vote_services(redis: Redis) -> tuple[VoteService, ...]:
    """All vote services connected to this Redis, sorted by name; raises what redis-py raises."""
    return vote_services_among(await cast(Any, redis.client_list(_type="normal")))


def vote_services_among(clients: Iterable[Mapping[str, str]]) -> tuple[VoteService, ...]:
    """Those of Redis' clients whose names say they are vote services."""
    found = []
    for client in clients:
        if report := _NAME.fullmatch(client.get("name", "")):
            name, accepted, refused, unrecorded = report.groups()
            silent = int(client.get("idle", "0"))
            found.append(VoteService(name, int(accepted), int(refused), int(unrecorded), silent))
    return tuple(sorted(found, key=lambda service: service.name)[:MOST_SHOWN])


def worker_name() -> str:
    """The name of this worker's connection, within PostgreSQL's 63 bytes."""
    return f"{WORKER} {socket.gethostname()[:40]}:{os.getpid()}"

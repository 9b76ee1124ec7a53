"""The vote services as Redis sees them: each has a connection whose name says how votes fared there lately.

A name is no write. So a Redis that is full, paused or read-only takes it too, which is when it matters; it is gone with
its connection, and how long nothing was heard on that is told by Redis' own clock.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

SPEAK_SECONDS = 1.0  # how often a vote service says how it is
LATELY_SECONDS = 10  # what it says is of so many
SILENT_SECONDS = 5  # one that has not spoken for longer hangs
MOST_SHOWN = 50

_NAME = re.compile(r"vote-service/([!-.0-~]{1,100})/(\d{1,9})/(\d{1,9})/(\d{1,9})")
_NOT_IN_NAMES = re.compile(r"[^!-.0-~]")


@dataclass(frozen=True, slots=True)
class VoteService:
    """A vote service, and what became of the votes that it was sent in the last seconds."""

    name: str  # host:process
    accepted: int
    refused: int  # for a reason that lies with the vote or its voter
    unrecorded: int  # the voter was told to vote again: the queue took it not, or may have taken it
    silent_seconds: int = 0

    @property
    def is_silent(self) -> bool:
        return self.silent_seconds > SILENT_SECONDS


def name_of(service: VoteService) -> str:
    """What its connection is called."""
    name = _NOT_IN_NAMES.sub("_", service.name)[:100]
    return f"vote-service/{name}/{service.accepted}/{service.refused}/{service.unrecorded}"


async def vote_services(redis: Redis) -> tuple[VoteService, ...]:
    """All that have a connection to this Redis, in the order of their names; raises what redis-py raises."""
    return services_among(await cast(Any, redis.client_list(_type="normal")))


def services_among(clients: Iterable[Mapping[str, str]]) -> tuple[VoteService, ...]:
    """Those of Redis' clients that say they are a vote service."""
    found = []
    for client in clients:
        if said := _NAME.fullmatch(client.get("name", "")):
            name, accepted, refused, unrecorded = said.groups()
            silent = int(client.get("idle", "0"))
            found.append(VoteService(name, int(accepted), int(refused), int(unrecorded), silent))
    return tuple(sorted(found, key=lambda service: service.name)[:MOST_SHOWN])

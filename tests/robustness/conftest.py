"""The three services on servers of their own, and the figures of what was tried."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local import servers
from tests.integration.conftest import connection as connection
from tests.integration.conftest import database as database
from tests.integration.conftest import empty_database as empty_database
from tests.integration.conftest import postgres as postgres
from tests.integration.conftest import queue as queue
from tests.integration.conftest import redis as redis
from tests.services import Service, service

# a search is one client that asks more often than any voter
NO_LIMITS = {"LIMIT_PER_VOTER": "0", "LIMIT_PER_ADDRESS": "0"}


@dataclass(frozen=True)
class Services:
    """What a session's searches are sent to."""

    vote: Service
    worker: Service
    result: Service
    redis_url: str
    database_url: str
    log: Path

    def url_of(self, name: str) -> str:
        """Where one of them is."""
        return {"vote": self.vote, "worker": self.worker, "result": self.result}[name].url

    def all_alive(self) -> bool:
        """Whether each still runs and is ready; fails if one has ended."""
        return all(each.is_ready() for each in (self.vote, self.worker, self.result))

    def complaints(self) -> list[str]:
        """The errors they have logged, except that the queue was slow, as it is on a busy machine."""
        lines = self.log.read_text().splitlines()
        errors = [line for line in lines if '"level": "error"' in line or "Traceback" in line]
        return [line for line in errors if '"pushing_failed"' not in line or "it waited for" not in line]


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Vote, worker and result with a Redis and a PostgreSQL that no test takes away."""
    folder = tmp_path_factory.mktemp("services")
    log = folder / "services.log"
    with (
        servers.redis(folder) as redis,
        servers.postgres(folder) as postgres,
        service("vote", redis_url=redis.url, log=str(log), **NO_LIMITS) as vote,
        service("worker", redis_url=redis.url, database_url=postgres.url, log=str(log)) as worker,
        service("result", redis_url=redis.url, database_url=postgres.url, log=str(log)) as result,
    ):
        for each in (vote, worker, result):
            each.until_ready()
        yield Services(vote, worker, result, redis.url, postgres.url, log)

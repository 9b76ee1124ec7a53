"""What the pipeline page knows of the real servers, and what it says while one of them is gone."""

import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis import Redis

from common.presence import COUNTING_LOCK, worker_name
from local import servers
from result.pipeline import SourceUnavailable, WorkersInDatabase
from tests.fakes import message
from tests.services import Service, service
from tests.waiting import eventually, eventually_async

Report = dict[str, Any]


@dataclass
class Plant:
    """Both servers, a vote service, and a result service that looks at them."""

    redis: servers.Server
    database: str
    vote: Service
    result: Service

    def until(self, is_so: Callable[[Report], bool], saying: str) -> Report:
        def look() -> Report | None:
            report: Report = self.result.get("/api/pipeline").json()
            return report if is_so(report) else None

        report = eventually(look, within=40, saying=saying)
        assert report is not None
        return report

    def until_state(self, state: str) -> Report:
        return self.until(lambda report: report["state"] == state, f"the pipeline is {state}")

    def worker(self) -> Any:
        return service("worker", redis_url=self.redis.url, database_url=self.database)

    def set(self, **settings: object) -> None:
        with Redis.from_url(self.redis.url) as client:
            for name, value in settings.items():
                client.config_set(name.replace("_", "-"), value)

    def cast(self) -> int:
        """Vote; returns the status."""
        return self.vote.client.post(f"{self.vote.url}/api/votes", json={"vote": "a"}).status_code

    def push(self, *messages: bytes) -> None:
        with Redis.from_url(self.redis.url) as client:
            client.rpush("votes", *messages)


@pytest.fixture
def plant(database: str, tmp_path: Path) -> Iterator[Plant]:
    with (
        servers.redis(tmp_path) as redis,
        service("vote", redis_url=redis.url) as vote,
        service("result", redis_url=redis.url, database_url=database) as result,
    ):
        vote.until_ready()
        result.until_ready()
        yield Plant(redis, database, vote, result)


def test_without_a_worker_it_says_that_nobody_counts_and_with_one_who_does(plant: Plant) -> None:
    plant.push(*(message(f"voter {number}", "a") for number in range(1204)))
    report = plant.until_state("nobody_counts")
    assert report["title"] == "Nobody is counting: 1,204 votes wait, none is lost."
    assert (report["waiting"], report["recorded"]["total"], report["accepted"]["total"]) == (1204, 0, 1204)

    with plant.worker() as worker:
        worker.until_ready()
        report = plant.until(lambda report: report["waiting"] == 0, "nothing waits")
        assert (report["recorded"]["total"], report["accepted"]["total"]) == (1204, 1204)
        assert report["workers"]["counting"].endswith(f":{worker.process.pid}")
        worker.kill()
        plant.until_state("nobody_counts")


def test_a_worker_that_stands_by_is_shown_and_then_counts(plant: Plant) -> None:
    with plant.worker() as first, plant.worker() as second:
        first.until_ready()
        second.until_ready()
        report = plant.until(lambda report: report["workers"]["standing_by"] != [], "one stands by")
        names = {report["workers"]["counting"], *report["workers"]["standing_by"]}
        assert {name.rpartition(":")[2] for name in names} == {str(first.process.pid), str(second.process.pid)}
        counts, other = (first, second) if first.metric("counting") else (second, first)
        counts.kill()
        takes_over = f":{other.process.pid}"
        plant.until(lambda report: str(report["workers"]["counting"]).endswith(takes_over), "the other one counts")


def test_a_message_that_was_rejected_is_shown_by_its_reason(plant: Plant) -> None:
    plant.push(b"nonsense of voter 1234")
    with plant.worker():
        report = plant.until(lambda report: report["rejected"] == 1, "one is rejected")
    assert "not JSON" in report["last_rejected"][0]["reason"]
    assert "1234" not in str(report["last_rejected"])


def test_without_redis_it_says_that_voting_is_refused_and_goes_on(plant: Plant) -> None:
    with plant.worker() as worker:
        worker.until_ready()
        plant.push(message("v", "a"))
        plant.until_state("counting")
        plant.redis.kill()
        report = plant.until_state("redis_unreachable")
        assert report["title"] == "Redis can't be reached: voting is refused, nothing is lost."
        assert (report["waiting"], report["redis"], report["database"]) == (None, "unreachable", "answers")
        assert plant.result.get("/pipeline").status_code == 200
        assert plant.result.is_ready()  # the dashboard needs no Redis
        plant.redis.start()
        eventually(lambda: plant.until_state("counting")["recorded"]["total"] == 1, within=20)


def test_a_full_redis_is_said_to_refuse_votes_also_by_the_vote_service(plant: Plant) -> None:
    """A full one refuses writes, and so does any note of a vote service: its connection's name gets through."""
    with plant.worker() as worker:
        worker.until_ready()
        plant.until_state("counting")
        plant.set(maxmemory=1)
        assert plant.cast() == 503
        report = plant.until(lambda report: told_to_vote_again(report) == 1, "the vote service tells of it")
        assert (report["state"], report["title"]) == ("votes_refused", "Votes are refused: Redis has no memory left.")
        assert "maxmemory" in plant.vote.get("/readyz").json()["failing"]["redis"]
        plant.set(maxmemory=0)
        plant.until_state("votes_in_doubt")
        plant.until_state("counting")  # when that vote is some seconds old
        assert plant.vote.is_ready()


def test_a_redis_that_holds_back_writes_is_said_to_refuse_votes(plant: Plant) -> None:
    with plant.worker() as worker:
        worker.until_ready()
        plant.until_state("counting")
        with Redis.from_url(plant.redis.url) as client:
            client.client_pause(60_000, all=False)
            report = plant.until_state("votes_refused")
            assert report["title"] == "Votes are refused: Redis holds back whatever would change something."
            assert [each["does"] for each in report["vote_services"]] == ["refuses votes"]
            assert plant.vote.get("/readyz").status_code == 503
            client.client_unpause()
        plant.until_state("counting")
        eventually(plant.vote.is_ready, within=20)


def test_a_replica_is_said_to_refuse_votes(plant: Plant) -> None:
    plant.push(message("v", "a"))
    with Redis.from_url(plant.redis.url) as client:
        client.replicaof("127.0.0.1", "1")
        report = plant.until_state("votes_refused")
        assert report["title"] == "Votes are refused: this Redis is a replica, which only reads."
        assert report["detail"].endswith("1 vote waits, none is lost. Nobody is counting.")
        client.replicaof("NO", "ONE")
    plant.until_state("nobody_counts")


def test_a_vote_service_that_hangs_or_is_gone_is_missed(plant: Plant) -> None:
    with plant.worker() as worker:
        worker.until_ready()
        report = plant.until(lambda report: report["state"] == "counting" and report["vote_services"], "it is seen")
        assert report["vote_services"][0]["name"].endswith(f":{plant.vote.process.pid}")
        plant.vote.process.send_signal(signal.SIGSTOP)
        report = plant.until_state("nobody_takes_votes")
        assert [each["does"] for each in report["vote_services"]] == ["silent"]
        plant.vote.process.send_signal(signal.SIGCONT)
        plant.until_state("counting")
        plant.vote.kill()
        report = plant.until_state("nobody_takes_votes")
        assert report["title"] == "No vote service is running: nobody can vote."
        plant.until(lambda report: report["vote_services"] == [], "its connection is gone")


@pytest.mark.parametrize(
    ("key", "state"),
    [("{votes}:counted", "queue_broken"), ("votes:rejected", "queue_broken"), ("votes", "votes_refused")],
)
def test_a_key_of_the_queue_that_holds_something_else_is_told_and_ends_nothing(
    plant: Plant, key: str, state: str
) -> None:
    plant.until_state("nobody_counts")
    with Redis.from_url(plant.redis.url) as client:
        client.set(key, "nonsense")
        report = plant.until_state(state)
        assert "Redis holds something else where the queue should be" in report["title"]
        assert report["redis"] == "broken"
        client.delete(key)
    plant.until_state("nobody_counts")
    assert plant.vote.is_ready()


async def test_without_the_database_it_says_that_counting_waits(plant: Plant, postgres: servers.Server) -> None:
    plant.until_state("nobody_counts")
    plant.push(message("v", "a"), message("w", "b"))
    postgres.kill()
    try:
        report = plant.until_state("database_unreachable")
        assert report["title"] == "The database can't be reached: counting waits, 2 votes wait, none is lost."
        assert (report["workers"], report["database"], report["waiting"]) == (None, "unreachable", 2)
    finally:
        postgres.start()
    with plant.worker():
        plant.until_state("counting")


def test_a_result_service_that_nobody_told_of_redis_works_and_says_what_it_can_not_know(database: str) -> None:
    with service("result", redis_url="", REDIS_HOST="", database_url=database) as result:
        result.until_ready()
        report = result.get("/api/pipeline").json()
        # where no Redis is by chance at the address that is tried then
        if report["redis"] != "answers":
            assert (report["redis"], report["waiting"]) == ("not_configured", None)
            assert report["workers"] == {"counting": None, "standing_by": []}
        assert result.get("/api/tally").status_code == 200


def told_to_vote_again(report: Report) -> int:
    return sum(each["unrecorded"] for each in report["vote_services"] or [])


async def test_a_role_without_any_rights_sees_who_counts(database: str) -> None:
    name = worker_name()
    owner = await asyncpg.connect(database, server_settings={"application_name": name})
    workers = None
    try:
        await owner.execute("DROP ROLE IF EXISTS looker; CREATE ROLE looker LOGIN")
        await owner.fetchval("SELECT pg_try_advisory_lock($1)", COUNTING_LOCK)
        workers = WorkersInDatabase(database.replace("postgres@", "looker@", 1))
        seen = await workers.read()
        assert (seen.counting, seen.standing_by) == (name.split(" ", 1)[1], ())
    finally:
        if workers:
            workers.close()
        await owner.execute("DROP ROLE looker")
        await owner.close()


async def test_a_database_that_does_not_let_us_in_is_not_called_unreachable(database: str) -> None:
    with pytest.raises(SourceUnavailable) as caught:
        await WorkersInDatabase(database.replace("postgres@", "stranger@", 1)).read()

    assert caught.value.state == "refuses"


async def test_the_page_lets_its_connection_go_before_the_server_ends_it(
    database: str, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL writes FATAL into its log when it ends an idle connection, and that looks like a fault."""
    monkeypatch.setattr("result.pipeline.ANSWER_SECONDS", 5.0)
    monkeypatch.setattr("result.pipeline.KEEP_CONNECTION_SECONDS", -4.9)
    look = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tallyho-pipeline'"
    with closing(WorkersInDatabase(database)) as workers:
        for _ in range(2):  # it connects again when somebody looks again
            await workers.read()

            async def is_gone() -> bool:
                return bool(await connection.fetchval(f"{look} AND datname = current_database()") == 0)

            await eventually_async(is_gone, within=30)

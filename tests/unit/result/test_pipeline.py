"""The pipeline's report: one look for all who ask, rates from two looks, and null for what can't be known."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError

from common.health import Health
from common.message import Rejection
from common.presence import VoteService
from common.settings import Settings
from common.vote_queue import QueueBroken, QueueFull, QueueStats, QueueUnavailable
from result import pipeline as pipeline_module
from result.app import create_app
from result.board import Board
from result.pipeline import (
    COMING_BACK_SECONDS,
    RATE_ACROSS_SECONDS,
    Pipeline,
    Sources,
    SourceUnavailable,
    intake_reader,
    read_from_redis,
)
from result.pipeline_report import Intake, Workers
from result.viewers import Viewers

ONE_SERVICE: tuple[VoteService, ...] = (VoteService("vote:1", accepted=20, refused=2, unrecorded=0),)


class Plant:
    """Something to look at."""

    def __init__(self) -> None:
        self.stats = QueueStats(waiting=4, counted=10, oldest_cast_at=None, rejected=0, last_rejected=())
        self.services = ONE_SERVICE
        self.problem: Exception | None = None
        self.looks = 0

    async def queue(self) -> QueueStats:
        self.looks += 1
        await asyncio.sleep(0)
        if self.problem:
            raise self.problem
        return self.stats

    async def workers(self) -> Workers:
        return Workers("here:1", ("there:2",))

    async def intake(self) -> Intake:
        if self.problem:
            raise self.problem
        return Intake("", self.services)

    def sources(self) -> Sources:
        return Sources(self.queue, self.workers, self.intake, lambda: 3)


@pytest.fixture
def plant() -> Plant:
    return Plant()


@pytest.fixture
def pipeline(plant: Plant) -> Pipeline:
    return Pipeline(plant.sources())


@pytest.fixture
def always_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "REPORT_SECONDS", 0)


async def two_looks(plant: Plant, *, seconds: float, then: QueueStats) -> dict[str, Any]:
    """The second of two looks, so many seconds after the first."""
    now = [0.0]
    pipeline = Pipeline(plant.sources(), lambda: now[0])
    await pipeline.report()
    now[0], plant.stats = seconds, then
    return await pipeline.report()


def app(sources: Sources | None) -> Quart:
    settings = Settings()
    return create_app(settings, Board(settings.ballot, Viewers()), Health(), sources)


async def test_however_many_watch_one_look_serves_all(pipeline: Pipeline, plant: Plant) -> None:
    reports = await asyncio.gather(*(pipeline.report() for _ in range(50)))

    assert plant.looks == 1
    assert all(report is reports[0] for report in reports)


async def test_who_asks_during_a_long_look_shares_what_it_finds(plant: Plant) -> None:
    """While a server hangs a look takes seconds: one after the other, the last page would wait for too long."""
    now = [1.0]
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow_queue() -> QueueStats:
        begun.set()
        await go_on.wait()
        now[0] += 10
        return await plant.queue()

    pipeline = Pipeline(replace(plant.sources(), queue=slow_queue), lambda: now[0])
    first = asyncio.create_task(pipeline.report())
    await begun.wait()
    now[0] += 5
    others = [asyncio.create_task(pipeline.report()) for _ in range(5)]
    await asyncio.sleep(0)
    go_on.set()

    reports = await asyncio.gather(first, *others)

    assert plant.looks == 1
    assert all(report is reports[0] for report in reports)


async def test_nobody_looks_while_nobody_asks(plant: Plant) -> None:
    async with app(plant.sources()).test_app():
        await asyncio.sleep(0)
    assert plant.looks == 0


async def test_the_figures_are_those_of_the_queue_and_the_database(pipeline: Pipeline) -> None:
    report = await pipeline.report()

    assert report["accepted"] == {"total": 14, "per_second": None}
    assert report["recorded"] == {"total": 10, "per_second": None}
    assert (report["waiting"], report["viewers"]) == (4, 3)
    assert report["workers"] == {"counting": "here:1", "standing_by": ["there:2"]}
    assert [(each["name"], each["does"]) for each in report["vote_services"]] == [("vote:1", "takes votes")]
    assert report["words"]["voting"] == {"value": "1", "note": "2 of 22 not accepted in 10 s"}


async def test_a_rate_is_what_came_since_the_last_look(plant: Plant) -> None:
    report = await two_looks(plant, seconds=4, then=replace(plant.stats, waiting=10, counted=50))

    assert report["accepted"]["per_second"] == pytest.approx(46 / 4)
    assert report["recorded"]["per_second"] == pytest.approx(40 / 4)
    assert report["words"]["accepted"]["note"] == "11.5 a second"


async def test_no_rate_is_told_across_a_long_gap_or_when_redis_was_emptied(plant: Plant) -> None:
    later = await two_looks(plant, seconds=RATE_ACROSS_SECONDS + 1, then=replace(plant.stats, counted=11))
    emptied = await two_looks(plant, seconds=1, then=replace(plant.stats, counted=0))

    assert later["recorded"]["per_second"] is None
    assert emptied["recorded"]["per_second"] is None


async def test_what_can_not_be_known_is_null_and_the_reason_is_told(pipeline: Pipeline, plant: Plant) -> None:
    plant.problem = SourceUnavailable("unreachable", "gone")

    report = await pipeline.report()

    assert report["redis"] == "unreachable"
    assert [report[name] for name in ("accepted", "waiting", "recorded", "rejected", "last_rejected")] == [None] * 5
    assert report["words"]["waiting"]["value"] == "?"
    assert report["words"]["workers"] == {"value": "nobody", "note": "2 workers connected"}


@pytest.mark.usefixtures("always_looking")
async def test_it_is_known_again_when_the_server_is_back(pipeline: Pipeline, plant: Plant) -> None:
    plant.problem = SourceUnavailable("unreachable", "gone")
    await pipeline.report()
    plant.problem = None

    assert (await pipeline.report())["redis"] == "answers"


async def test_of_a_rejected_message_only_the_reason_is_shown(pipeline: Pipeline, plant: Plant) -> None:
    """The message holds a voter's id, and so do the further lines of a reason from PostgreSQL."""
    rejections = (
        Rejection("first", "old", "2026-01-01"),
        Rejection("my secret id", "bad row\nDETAIL: my secret id", ""),
    )
    plant.stats = replace(plant.stats, rejected=2, last_rejected=rejections)

    report = await pipeline.report()

    assert [rejection["reason"] for rejection in report["last_rejected"]] == ["bad row", "old"]
    assert "secret" not in str(report)


@pytest.mark.parametrize(("is_set", "state"), [(True, "unreachable"), (False, "not_configured")])
async def test_only_a_redis_that_somebody_named_is_missed(is_set: bool, state: str) -> None:
    async def gone() -> QueueStats:
        raise QueueUnavailable("Redis: no")

    with pytest.raises(SourceUnavailable) as caught:
        await read_from_redis(gone, address_is_set=is_set)()

    assert caught.value.state == state


async def test_a_queue_that_is_none_is_not_called_unreachable() -> None:
    async def broken() -> QueueStats:
        raise QueueBroken("Redis: WRONGTYPE")

    with pytest.raises(SourceUnavailable) as caught:
        await read_from_redis(broken, address_is_set=True)()

    assert caught.value.state == "broken"


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        (OutOfMemoryError("command not allowed"), "Redis has no memory left"),
        (ReadOnlyError("You can't write"), "this Redis is a replica, which only reads"),
        (TimeoutError(), "Redis holds back whatever would change something"),
        (ResponseError("MISCONF Errors writing to the AOF file: No space left"), "Redis can't write to its disk"),
        (ResponseError("NOREPLICAS Not enough good replicas to write."), "Redis misses its replicas"),
        (ResponseError("CLUSTERDOWN The cluster is down"), "Redis says: CLUSTERDOWN The cluster is down"),
        (NoPermissionError("this user has no permissions"), None),
        (NotConnected("gone"), None),
        (None, ""),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_why_redis_takes_no_votes_is_said_in_few_words(said: Exception | None, refusal: str | None) -> None:
    async def check() -> None:
        if said is not None:
            kind = QueueFull if isinstance(said, OutOfMemoryError) else QueueUnavailable
            raise kind("Redis takes no votes") from said

    async def services() -> tuple[VoteService, ...]:
        return ONE_SERVICE

    assert await intake_reader(check, services)() == Intake(refusal, ONE_SERVICE)


@pytest.mark.parametrize("error", [NoPermissionError("client|list"), NotConnected("gone"), TimeoutError()])
async def test_vote_services_that_can_not_be_seen_are_not_said_to_be_gone(error: Exception) -> None:
    async def check() -> None: ...

    async def services() -> tuple[VoteService, ...]:
        raise error

    assert await intake_reader(check, services)() == Intake("", None)


@pytest.mark.usefixtures("always_looking")
async def test_vote_services_that_come_back_to_redis_are_given_a_moment(plant: Plant) -> None:
    now = [0.0]
    pipeline = Pipeline(plant.sources(), lambda: now[0])
    plant.problem = SourceUnavailable("unreachable", "gone")
    await pipeline.report()
    plant.problem, plant.services = None, ()

    now[0] = COMING_BACK_SECONDS - 1
    assert (await pipeline.report())["state"] == "counting"
    now[0] = COMING_BACK_SECONDS + 1
    assert (await pipeline.report())["state"] == "nobody_takes_votes"


async def test_votes_of_a_vote_service_of_another_kind_are_seen_to_arrive(plant: Plant) -> None:
    """The ancestor's does not say in Redis that it runs."""
    plant.services = ()

    report = await two_looks(plant, seconds=1, then=replace(plant.stats, waiting=5))

    assert report["state"] == "counting"


async def test_page_and_json_say_the_same(plant: Plant) -> None:
    client: Client = app(plant.sources()).test_client()

    told = await (await client.get("/api/pipeline")).get_json()
    page = await (await client.get("/pipeline")).get_data(as_text=True)

    assert told["title"] in page
    assert "here:1" in page
    assert told["words"]["accepted"]["value"] == "14"


async def test_a_service_that_was_told_of_no_source_says_so_and_works() -> None:
    client = app(None).test_client()

    assert (await (await client.get("/api/pipeline")).get_json())["state"] == "unknown"
    assert (await client.get("/pipeline")).status_code == 200
    assert (await client.get("/")).status_code == 200

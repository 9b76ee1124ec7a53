"""The pipeline's report: one look for all who ask, rates from two looks, and null for what can't be known."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from common.ops import Health
from common.overview import Overview, Rejection
from common.settings import Settings
from common.vote_queue import QueueUnavailable
from result import pipeline as pipeline_module
from result.app import create_app
from result.board import Board
from result.pipeline import RATE_ACROSS_SECONDS, Pipeline, Sources
from result.pipeline_sources import NotSeen, Workers, queue_reader
from result.viewers import Viewers


class Plant:
    """Something to look at."""

    def __init__(self) -> None:
        self.overview = Overview(waiting=4, counted=10, oldest_cast_at=None, rejected=0, last_rejected=())
        self.problem: Exception | None = None
        self.looks = 0

    async def queue(self) -> Overview:
        self.looks += 1
        await asyncio.sleep(0)
        if self.problem:
            raise self.problem
        return self.overview

    async def workers(self) -> Workers:
        return Workers("here:1", ("there:2",))

    def sources(self) -> Sources:
        return Sources(self.queue, self.workers, lambda: 3)


@pytest.fixture
def plant() -> Plant:
    return Plant()


@pytest.fixture
def pipeline(plant: Plant) -> Pipeline:
    return Pipeline(plant.sources())


@pytest.fixture
def always_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "LOOK_AT_MOST_EVERY_SECONDS", 0)


async def two_looks(plant: Plant, *, seconds: float, then: Overview) -> dict[str, Any]:
    """The second of two looks, so many seconds after the first."""
    now = [0.0]
    pipeline = Pipeline(plant.sources(), lambda: now[0])
    await pipeline.report()
    now[0], plant.overview = seconds, then
    return await pipeline.report()


def app(sources: Sources | None) -> Quart:
    settings = Settings()
    return create_app(settings, Board(settings.ballot, Viewers()), Health(), sources)


async def test_however_many_watch_one_look_serves_all(pipeline: Pipeline, plant: Plant) -> None:
    reports = await asyncio.gather(*(pipeline.report() for _ in range(50)))

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


async def test_a_rate_is_what_came_since_the_last_look(plant: Plant) -> None:
    report = await two_looks(plant, seconds=4, then=replace(plant.overview, waiting=10, counted=50))

    assert report["accepted"]["per_second"] == pytest.approx(46 / 4)
    assert report["recorded"]["per_second"] == pytest.approx(40 / 4)
    assert report["words"]["accepted"]["note"] == "11.5 a second"


async def test_no_rate_is_told_across_a_long_gap_or_when_redis_was_emptied(plant: Plant) -> None:
    later = await two_looks(plant, seconds=RATE_ACROSS_SECONDS + 1, then=replace(plant.overview, counted=11))
    emptied = await two_looks(plant, seconds=1, then=replace(plant.overview, counted=0))

    assert later["recorded"]["per_second"] is None
    assert emptied["recorded"]["per_second"] is None


async def test_what_can_not_be_known_is_null_and_the_reason_is_told(pipeline: Pipeline, plant: Plant) -> None:
    plant.problem = NotSeen("unreachable", "gone")

    report = await pipeline.report()

    assert report["redis"] == "unreachable"
    assert [report[name] for name in ("accepted", "waiting", "recorded", "rejected", "last_rejected")] == [None] * 5
    assert report["words"]["waiting"]["value"] == "?"
    assert report["words"]["workers"] == {"value": "nobody", "note": "2 workers connected"}


@pytest.mark.usefixtures("always_looking")
async def test_it_is_known_again_when_the_server_is_back(pipeline: Pipeline, plant: Plant) -> None:
    plant.problem = NotSeen("unreachable", "gone")
    await pipeline.report()
    plant.problem = None

    assert (await pipeline.report())["redis"] == "answers"


async def test_of_a_rejected_message_only_the_reason_is_shown(pipeline: Pipeline, plant: Plant) -> None:
    """The message holds a voter's id, and so do the further lines of a reason from PostgreSQL."""
    rejections = (
        Rejection("first", "old", "2026-01-01"),
        Rejection("my secret id", "bad row\nDETAIL: my secret id", ""),
    )
    plant.overview = replace(plant.overview, rejected=2, last_rejected=rejections)

    report = await pipeline.report()

    assert [rejection["reason"] for rejection in report["last_rejected"]] == ["bad row", "old"]
    assert "secret" not in str(report)


@pytest.mark.parametrize(("is_set", "state"), [(True, "unreachable"), (False, "not_configured")])
async def test_only_a_redis_that_somebody_named_is_missed(is_set: bool, state: str) -> None:
    async def gone() -> Overview:
        raise QueueUnavailable("Redis: no")

    with pytest.raises(NotSeen) as caught:
        await queue_reader(gone, address_is_set=is_set)()

    assert caught.value.state == state


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

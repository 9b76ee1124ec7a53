"""One vote is one trace, through vote, worker and result, with the real servers between them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from quart import Quart

from common import traces
from common.ballot import Ballot, Option
from common.health import Health
from common.message import decode
from common.settings import Settings
from common.tasks import end
from common.vote_queue import VoteQueue
from result.board import Board
from result.viewers import Viewers
from result.watch import watch_tally
from tests.fakes import message
from tests.waiting import eventually_async
from tests.watchers import watching
from vote.app import create_app
from vote.pusher import VotePusher
from worker.counter import Status, count_votes

BALLOT = Ballot.of((Option("a", "Cats"), Option("b", "Dogs")))


class Spans:
    """What was traced, by the parts that traced it: `vote: push` is the span `push` of vote."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all() if title(span) == name]

    async def until(self, name: str, number: int) -> list[ReadableSpan]:
        async def there() -> list[ReadableSpan] | None:
            return found if len(found := self.named(name)) >= number else None

        found = await eventually_async(there, within=30, saying=f"{number} spans {name!r}")
        assert found is not None
        return found

    def ancestry(self, span: ReadableSpan) -> list[str]:
        """The titles from this span up to the root of its trace."""
        by_id = {each.context.span_id: each for each in self.all() if each.context}
        line = [title(span)]
        while span.parent is not None:
            span = by_id[span.parent.span_id]
            line.append(title(span))
        return line


def title(span: ReadableSpan) -> str:
    assert span.instrumentation_scope is not None
    return f"{span.instrumentation_scope.name.removeprefix('tallyho.')}: {span.name}"


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.trace_id)


@pytest.fixture
def spans() -> Iterator[Spans]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traces.use(provider)
    yield Spans(exporter)
    traces.use(None)


@pytest.fixture
async def vote(queue: VoteQueue) -> AsyncIterator[Quart]:
    """vote, pushing to the real queue."""
    pusher = VotePusher(queue)
    pushing = asyncio.create_task(pusher.run())
    yield create_app(Settings(), pusher, Health())
    await end(pushing)


@asynccontextmanager
async def counted_and_shown(queue: VoteQueue, database: str) -> AsyncIterator[None]:
    """worker and result, and somebody who looks, and has seen the tally of before."""
    viewers = Viewers()
    board = Board(BALLOT, viewers)
    loops: list[Any] = [count_votes(database, queue, 100, Status()), watch_tally(database, board.show)]
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        with watching(viewers) as viewer:
            await viewer.until(1)
            yield
    finally:
        await end(*tasks)


@pytest.fixture
async def counting(queue: VoteQueue, database: str) -> AsyncIterator[None]:
    async with counted_and_shown(queue, database):
        yield


async def test_one_vote_is_one_trace_across_the_three_services(spans: Spans, vote: Quart, counting: None) -> None:
    await vote.test_client().post("/api/votes", json={"vote": "a"})

    (shown,) = await spans.until("result: show", 1)
    assert spans.ancestry(shown) == ["result: show", "worker: record", "vote: push", "vote: POST /api/votes"]
    await spans.until("vote: POST /api/votes", 1)
    assert {title(span) for span in spans.all() if trace_of(span) == trace_of(shown)} == set(spans.ancestry(shown))


async def test_the_votes_of_a_batch_have_a_trace_each_and_a_link_to_their_batch(
    spans: Spans, vote: Quart, queue: VoteQueue, database: str
) -> None:
    await asyncio.gather(*(vote.test_client().post("/", form={"vote": "a"}) for _ in range(3)))
    await queue.push([message("somebody whom nobody traces", "a")])
    async with counted_and_shown(queue, database):
        recorded = await spans.until("worker: record", 3)
        (batch,) = await spans.until("worker: batch", 1)

    assert len({trace_of(span) for span in recorded}) == 3
    assert batch.context is not None
    assert {link.context.span_id for span in recorded for link in span.links} == {batch.context.span_id}
    assert dict(batch.attributes or {}) == {"batch.votes": 4, "batch.traced_votes": 3}


async def test_what_a_client_says_of_its_traces_is_not_taken_over(spans: Spans, vote: Quart) -> None:
    theirs = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    await vote.test_client().post("/api/votes", json={"vote": "a"}, headers=theirs)

    (span,) = await spans.until("vote: POST /api/votes", 1)
    assert span.parent is None


async def test_a_push_that_failed_is_an_error_in_its_trace(spans: Spans, tmp_path: Any) -> None:
    async with VoteQueue.open(f"unix://{tmp_path}/nobody.sock") as queue:
        pusher = VotePusher(queue)
        pushing = asyncio.create_task(pusher.run())
        answer = await create_app(Settings(), pusher, Health()).test_client().post("/api/votes", json={"vote": "a"})
        await end(pushing)

    assert answer.status_code == 503
    assert [(title(span), span.status.is_ok) for span in spans.all()] == [
        ("vote: push", False),
        ("vote: POST /api/votes", False),
    ]


@pytest.mark.parametrize("traceparent", [7, "", "nonsense, of somebody", f"00-{'0' * 32}-{'0' * 16}-01", "x" * 9000])
async def test_a_traceparent_that_is_none_is_no_reason_to_reject_a_vote(
    spans: Spans, queue: VoteQueue, counting: None, traceparent: object
) -> None:
    await queue.push([message("v", "a", traceparent=traceparent)])

    async def settled() -> bool:
        stats = await queue.stats()
        return stats.counted == 1 and stats.rejected == 0

    await eventually_async(settled, within=20)


async def test_without_traces_a_message_has_no_trace_of_them(vote: Quart, queue: VoteQueue) -> None:
    await vote.test_client().post("/api/votes", json={"vote": "a"})

    (pushed,) = (await queue.peek(10)).messages
    assert b"traceparent" not in pushed
    assert decode(pushed).traceparent is None

"""The queue at a glance: what those see who watch it."""

from datetime import UTC, datetime

from redis.asyncio import Redis

from common.vote_queue import REJECTED, VOTES, VoteQueue
from local import servers
from tests.fakes import message
from tests.integration.test_vote_queue import AnyQueue, any_queue

__all__ = ["any_queue"]


async def test_an_empty_queue_has_nothing_waiting(any_queue: AnyQueue) -> None:
    overview = await any_queue.overview()

    assert (overview.waiting, overview.counted, overview.oldest_cast_at, overview.rejected) == (0, 0, None, 0)
    assert overview.oldest_seconds() == 0


async def test_the_overview_tells_how_long_the_oldest_vote_has_waited(any_queue: AnyQueue) -> None:
    now = datetime.now(UTC).timestamp()
    await any_queue.push([message("v", "a", cast_at=now - 60), message("w", "a", cast_at=now)])

    overview = await any_queue.overview()

    assert overview.waiting == 2
    assert 60 <= (overview.oldest_seconds() or 0) < 90


async def test_what_is_settled_is_counted(any_queue: AnyQueue) -> None:
    await any_queue.push([b"1", b"2", b"3"])
    await any_queue.settle(await any_queue.peek(2))

    overview = await any_queue.overview()

    assert (overview.waiting, overview.counted) == (1, 2)


async def test_the_last_rejected_messages_are_shown_with_their_reasons(any_queue: AnyQueue) -> None:
    await any_queue.reject([(str(number).encode(), f"reason {number}") for number in range(7)])

    overview = await any_queue.overview()

    assert overview.rejected == 7
    assert [(each.message, each.reason) for each in overview.last_rejected] == [
        (str(number), f"reason {number}") for number in range(2, 7)
    ]


async def test_a_head_that_is_no_vote_and_notes_of_others_spoil_nothing(
    queue: VoteQueue, redis: servers.Server
) -> None:
    async with Redis.from_url(redis.url) as client:
        await client.rpush(VOTES, b"\xff nonsense")
        await client.rpush(REJECTED, b"\xff", b"[]", b'{"reason": 7}')

    overview = await queue.overview()

    assert overview.oldest_seconds() is None
    assert [each.reason for each in overview.last_rejected] == ["unknown: the note can't be read"] * 2 + ["7"]

"""The queue at a glance: what those see who watch it, whatever is in Redis."""

import json
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from common import vote_queue
from common.message import MESSAGE_BYTES, NOTE_BYTES
from common.vote_queue import COUNTED, REJECTED, VOTES, QueueBroken, VoteQueue
from local import servers
from tests.fakes import message
from tests.integration.test_vote_queue import AnyQueue, any_queue

pytestmark = pytest.mark.platform

__all__ = ["any_queue"]


async def test_an_empty_queue_has_nothing_waiting(any_queue: AnyQueue) -> None:
    stats = await any_queue.stats()

    assert (stats.waiting, stats.counted, stats.oldest_cast_at, stats.rejected) == (0, 0, None, 0)
    assert stats.oldest_seconds() == 0


async def test_the_overview_tells_how_long_the_oldest_vote_has_waited(any_queue: AnyQueue) -> None:
    now = datetime.now(UTC).timestamp()
    await any_queue.push([message("v", "a", cast_at=now - 60), message("w", "a", cast_at=now)])

    stats = await any_queue.stats()

    assert stats.waiting == 2
    assert 60 <= (stats.oldest_seconds() or 0) < 90


async def test_what_is_settled_is_counted(any_queue: AnyQueue) -> None:
    await any_queue.push([b"1", b"2", b"3"])
    await any_queue.settle(await any_queue.peek(2))

    stats = await any_queue.stats()

    assert (stats.waiting, stats.counted) == (1, 2)


async def test_the_last_rejected_messages_are_shown_with_their_reasons(any_queue: AnyQueue) -> None:
    await any_queue.reject([(str(number).encode(), f"reason {number}") for number in range(7)])

    stats = await any_queue.stats()

    assert stats.rejected == 7
    assert [(each.message, each.reason) for each in stats.last_rejected] == [
        (str(number), f"reason {number}") for number in range(2, 7)
    ]


async def test_a_head_that_is_no_vote_and_notes_of_others_spoil_nothing(
    queue: VoteQueue, redis: servers.Server
) -> None:
    async with Redis.from_url(redis.url) as client:
        await client.rpush(VOTES, b"\xff nonsense")
        await client.rpush(REJECTED, b"\xff", b"[]", b'{"reason": 7}')

    stats = await queue.stats()

    assert stats.oldest_seconds() is None
    assert [each.reason for each in stats.last_rejected] == ["unknown: the note can't be read"] * 2 + ["7"]


async def test_of_a_long_message_only_the_beginning_is_kept_when_it_is_rejected(any_queue: AnyQueue) -> None:
    """Its true length is kept as well, and one that a vote service of ours may have written is kept whole."""
    await any_queue.reject([(b"x" * 10_000_000, "no vote"), (b"y" * MESSAGE_BYTES, "none either")])

    long, short = (await any_queue.stats()).last_rejected

    assert (long.message, long.reason) == ("x" * MESSAGE_BYTES, "no vote")
    assert (short.message, short.reason) == ("y" * MESSAGE_BYTES, "none either")


async def test_a_vote_too_long_to_be_looked_at_does_not_say_when_it_was_cast(any_queue: AnyQueue) -> None:
    long = message("v", "a", cast_at=datetime.now(UTC).timestamp(), more="x" * MESSAGE_BYTES)
    await any_queue.push([long])

    stats = await any_queue.stats()

    assert (stats.waiting, stats.oldest_seconds()) == (1, None)


async def test_the_longest_note_is_not_taken_for_too_long(queue: VoteQueue, redis: servers.Server) -> None:
    await queue.reject([(b"\x01" * 10_000, "\N{GRINNING FACE}" * 10_000)])

    async with Redis.from_url(redis.url) as client:
        note = await client.lindex(REJECTED, 0)
    assert isinstance(note, bytes)
    assert len(note) < NOTE_BYTES
    assert json.loads(note)["message_bytes"] == 10_000
    assert (await queue.stats()).last_rejected[0].message == "\x01" * MESSAGE_BYTES


async def test_an_overview_reads_little_whatever_others_have_written(queue: VoteQueue, redis: servers.Server) -> None:
    """Every second each service looks: messages of 10 MB would be 60 MB for each of them."""
    huge = b"x" * 10_000_000
    async with Redis.from_url(redis.url) as client:
        await client.rpush(VOTES, huge)
        for _ in range(5):
            await client.rpush(REJECTED, huge)
        before = (await client.info("stats"))["total_net_output_bytes"]

        stats = await queue.stats()

        read = (await client.info("stats"))["total_net_output_bytes"] - before
        await client.flushall()
    assert read < MESSAGE_BYTES + 5 * NOTE_BYTES + 20_000
    assert (stats.waiting, stats.rejected, stats.oldest_cast_at) == (1, 5, None)
    assert {each.reason for each in stats.last_rejected} == {"unknown: the note is too long"}


async def test_long_messages_are_not_read_again_with_every_look(
    queue: VoteQueue, redis: servers.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis cuts them for us, and nobody can vote meanwhile: half a second for 60 MB."""
    async with Redis.from_url(redis.url) as client:
        await client.rpush(REJECTED, b"x" * 10_000_000)
        first = await queue.stats()
        await client.lset(REJECTED, 0, '{"reason": "another"}')  # as many as before: nothing to see
        assert await queue.stats() == first

        await queue.push([b"1"])
        await queue.reject([(b"nonsense", "no vote")])
        now = await queue.stats()
        assert (now.waiting, now.rejected) == (1, 2)
        assert [each.reason for each in now.last_rejected] == ["another", "no vote"]

        monkeypatch.setattr(vote_queue, "LONG_SECONDS", 0)
        await client.lset(REJECTED, 0, "x" * 10_000_000)
        assert (await queue.stats()).last_rejected[0].reason == "unknown: the note is too long"
        await client.lset(REJECTED, 0, '{"reason": "a third"}')
        assert (await queue.stats()).last_rejected[0].reason == "a third"


async def test_short_messages_are_read_with_every_look(queue: VoteQueue, redis: servers.Server) -> None:
    """Also where somebody put others in their place, and their number is the same."""
    await queue.reject([(b"1", "old")])
    await queue.stats()
    async with Redis.from_url(redis.url) as client:
        await client.delete(REJECTED)
    await queue.reject([(b"2", "new")])

    assert (await queue.stats()).last_rejected[0].reason == "new"


@pytest.mark.parametrize("key", [VOTES, COUNTED, REJECTED])
async def test_a_key_of_the_queue_that_holds_something_else_is_the_queues_fault(
    queue: VoteQueue, redis: servers.Server, key: str
) -> None:
    """Whoever watches must go on: its loop knows QueueUnavailable, of which this is a kind, and nothing else."""
    async with Redis.from_url(redis.url) as client:
        await client.hset(key, "a", "b")

    with pytest.raises(QueueBroken, match="WRONGTYPE"):
        await queue.stats()


@pytest.mark.parametrize("counted", [" 7", "many", "1.5", "-1", "9" * 5000, "0x10"])
async def test_a_count_that_is_no_number_is_the_queues_fault(
    queue: VoteQueue, redis: servers.Server, counted: str
) -> None:
    async with Redis.from_url(redis.url) as client:
        await client.set(COUNTED, counted)

    with pytest.raises(QueueBroken, match="which is not a count of votes"):
        await queue.stats()

"""While a batch is recorded the next one is read, and what was read ahead counts only if it is still at the head."""

import pytest
from asyncpg import Connection

from common.vote_queue import Peek, QueueUnavailable, VoteQueue
from tests.fakes import FakeVoteQueue, message
from tests.integration.counting import votes_in
from worker.batch import QueueHead
from worker.count import count_batch

pytestmark = pytest.mark.platform


class NotedQueue(FakeVoteQueue):
    """Notes what is read, and when; `refusing`: what is not at the head can't be read."""

    def __init__(self) -> None:
        super().__init__()
        self.refusing = False
        self.calls: list[str] = []

    async def peek(self, limit: int, *, behind: int = 0) -> Peek:
        if behind and self.refusing:
            raise QueueUnavailable("Redis: told to fail")
        peek = await super().peek(limit, behind=behind)
        self.calls.append(f"{len(peek.messages)} read, {behind} before them")
        return peek

    async def settle(self, peek: Peek) -> bool:
        self.calls.append(f"{len(peek.messages)} settled")
        return await super().settle(peek)


async def test_every_vote_is_read_once_before_the_batch_before_it_is_settled(connection: Connection) -> None:
    queue = NotedQueue()
    await queue.push([message(str(voter), "a") for voter in range(5)])
    head = QueueHead(queue, 2)

    assert [await count_batch(connection, queue, head) for _ in range(3)] == [2, 2, 1]
    assert queue.calls == [
        *("2 read, 0 before them", "2 read, 2 before them", "2 settled"),
        *("1 read, 2 before them", "2 settled"),
        "1 settled",
    ]
    assert len(await votes_in(connection)) == 5


async def test_nothing_is_read_ahead_where_little_waits(connection: Connection) -> None:
    queue = NotedQueue()
    await queue.push([message("v", "a")])

    await count_batch(connection, queue, QueueHead(queue, 2))

    assert queue.calls == ["1 read, 0 before them", "1 settled"]


async def test_what_was_read_ahead_before_a_reset_is_not_recorded_after_it(
    connection: Connection, queue: VoteQueue
) -> None:
    head = QueueHead(queue, 1)
    await queue.push([message("v", "a"), message("w", "a"), message("x", "a")])
    await count_batch(connection, queue, head)

    await connection.execute("TRUNCATE votes")
    await queue.drop_all()
    await queue.push([message("after", "b"), message("later", "b")])
    await count_batch(connection, queue, head)

    assert await votes_in(connection) == {"after": "b"}
    assert await queue.waiting() == 1


async def test_a_batch_is_counted_though_the_next_can_not_be_read(connection: Connection) -> None:
    queue = NotedQueue()
    await queue.push([message("v", "a"), message("w", "b")])
    head = QueueHead(queue, 1)

    queue.refusing = True
    assert await count_batch(connection, queue, head) == 1
    assert await votes_in(connection) == {"v": "a"}

    queue.refusing = False
    assert await count_batch(connection, queue, head) == 1
    assert await votes_in(connection) == {"v": "a", "w": "b"}


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_a_voters_last_vote_wins_across_batches(connection: Connection, queue: VoteQueue, limit: int) -> None:
    head = QueueHead(queue, limit)
    await queue.push([message("v", option) for option in "abcabcb"])

    while await count_batch(connection, queue, head):
        pass

    assert await votes_in(connection) == {"v": "b"}

"""Nothing blocks the queue: what can't be counted is put aside with its reason."""

import json

from asyncpg import Connection

from common.vote_queue import VoteQueue
from local import servers
from tests.fakes import message
from tests.integration.counting import rejected_in, votes_in
from worker.count import count_batch
from worker.head import Head

NONSENSE = [
    b"",
    b"nonsense",
    b"\xff\xfe",
    b"[]",
    b"null",
    b"{}",
    b'{"voter_id": "v"}',
    b'{"voter_id": 7, "vote": "a"}',
    b'{"voter_id": "", "vote": "a"}',
    b'{"voter_id": "v", "vote": "ab"}',
    b'{"voter_id": "v", "vote": "A"}',
    b'{"voter_id": "v", "vote": ""}',
    b'{"voter_id": "v\\u0000", "vote": "a"}',
    b'{"voter_id": "\\ud800", "vote": "a"}',
    b'{"voter_id": "v", "vote": "a", "cast_at": 1e300}',
    b'{"voter_id": "v", "vote": "a", "cast_at": NaN}',
    b'{"voter_id": "v", "vote": "a", "cast_at": true}',
    b'{"voter_id": "v", "vote": "a", "cast_at": "yesterday"}',
    b'{"voter_id": "' + b"v" * 256 + b'", "vote": "a"}',
    b"[" * 100_000,
]


async def test_what_can_not_be_read_is_put_aside_and_blocks_nothing(
    connection: Connection, queue: VoteQueue, redis: servers.Server
) -> None:
    await queue.push([message("first", "a"), *NONSENSE, message("last", "b")])

    assert await count_batch(connection, queue, Head(queue, 100)) == len(NONSENSE) + 2
    assert await votes_in(connection) == {"first": "a", "last": "b"}
    assert await queue.waiting() == 0
    assert all(note["reason"] for note in await rejected_in(redis))
    assert len(await rejected_in(redis)) == len(NONSENSE)


async def test_a_vote_that_the_database_refuses_is_put_aside_alone(
    connection: Connection, queue: VoteQueue, redis: servers.Server
) -> None:
    await connection.execute("ALTER TABLE votes ADD CONSTRAINT no_c CHECK (vote <> 'c')")
    await queue.push([message("v", "a"), message("w", "c"), message("x", "b")])

    await count_batch(connection, queue, Head(queue, 100))

    assert await votes_in(connection) == {"v": "a", "x": "b"}
    (note,) = await rejected_in(redis)
    assert json.loads(note["message"])["voter_id"] == "w"
    assert "no_c" in note["reason"]


async def test_the_log_counts_what_was_recorded_and_not_what_was_put_aside(
    connection: Connection, queue: VoteQueue
) -> None:
    told: list[int] = []
    await queue.push([b"nonsense", message("v", "a"), message("w", "b")])
    await count_batch(connection, queue, Head(queue, 100), lambda votes, at: told.append(votes))
    await queue.push([b"nonsense"])
    await count_batch(connection, queue, Head(queue, 100), lambda votes, at: told.append(votes))

    assert told == [2, 0]

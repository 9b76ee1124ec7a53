"""Anything in the queue: what is a vote is counted, all else is put aside with a reason, and the worker goes on."""

import asyncio
import contextlib
import json

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from common.message import MESSAGE_BYTES, MalformedVote, Vote, decode
from tests.robustness.conftest import Services
from tests.robustness.figures import EXAMPLES, tried
from tests.robustness.messages import MESSAGES
from tests.waiting import eventually


@settings(max_examples=10 * EXAMPLES)
@given(MESSAGES)
def test_a_message_is_a_vote_or_it_is_malformed_and_nothing_third(message: bytes) -> None:
    tried("messages given to decode")
    with contextlib.suppress(MalformedVote):
        assert isinstance(decode(message), Vote)


@settings(max_examples=EXAMPLES // 2, suppress_health_check=list(HealthCheck))
@given(messages=st.lists(MESSAGES, min_size=1, max_size=60))
def test_no_message_stops_the_worker(services: Services, messages: list[bytes]) -> None:
    with Redis.from_url(services.redis_url) as redis:
        redis.delete("votes:rejected")
        redis.rpush("votes", *messages)
        eventually(lambda: services.worker.process.poll() is not None or redis.llen("votes") == 0, within=30)
        assert services.worker.process.poll() is None
        rejected = [json.loads(note) for note in redis.lrange("votes:rejected", 0, -1)]
    tried("messages given to a running worker", len(messages))
    tried("of them put aside with a reason", len(rejected))

    unreadable = [message for message in messages if not is_vote(message)]
    noted = [
        (note["message"], note.get("message_bytes", len(text))) for note, text in zip(rejected, unreadable, strict=True)
    ]
    assert noted == [(text[:MESSAGE_BYTES].decode(errors="backslashreplace"), len(text)) for text in unreadable]
    assert all(note["reason"] for note in rejected)
    last = {vote.voter_id: vote.option for vote in map(decode, (m for m in messages if is_vote(m)))}
    assert asyncio.run(recorded(services.database_url, list(last))) == last


def is_vote(message: bytes) -> bool:
    try:
        decode(message)
    except MalformedVote:
        return False
    return True


async def recorded(database: str, voters: list[str]) -> dict[str, str]:
    connection = await asyncpg.connect(database)
    rows = await connection.fetch("SELECT voter_id, vote FROM votes WHERE voter_id = ANY($1)", voters)
    await connection.close()
    return {row["voter_id"]: row["vote"] for row in rows}

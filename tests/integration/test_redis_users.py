"""Least rights in Redis: each user may do what its service must, and nothing else."""

import asyncio
from collections.abc import Awaitable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from common.presence import list_vote_services
from common.tasks import end
from common.vote_queue import NotPushed, QueueUnavailable, VoteQueue
from common.voter_roll import VoterRoll
from local.codes import give_out
from local.redis_users import write_users
from tests.fakes import message
from tests.integration.guarded_redis import GuardedRedis, guarded_redis, has_users, refusal
from tests.waiting import eventually_async
from vote.admission import RateLimit, share_counts
from vote.heartbeat import send_heartbeats

pytestmark = pytest.mark.platform


@pytest.fixture(scope="module")
def redis_for_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedRedis]:
    with guarded_redis(has_users(), tmp_path_factory.mktemp("guarded") / "redis") as running:
        yield running


NOBODY_MAY = [
    ("FLUSHALL",),
    ("KEYS", "*"),
    ("CONFIG", "GET", "*"),
    ("ACL", "LIST"),
    ("DEL", "votes"),
    ("SET", "else", "x"),
    ("GET", "else"),
    ("SHUTDOWN",),
    ("SADD", "votes:roll", "x"),
    ("SMEMBERS", "votes:roll"),
    ("REPLICAOF", "NO", "ONE"),
    ("EXPIRE", "votes", "0"),
    ("SET", "votes", "x"),
    ("RENAME", "votes", "mine"),
    ("PUBLISH", "tallies", "x"),
    ("RPUSHX", "votes", "x"),
    ("EVAL_RO", "return 1", "1", "else"),
]
FORBIDDEN = {
    "vote": [
        *NOBODY_MAY,
        ("LPOP", "votes"),
        ("LTRIM", "votes", "1", "0"),
        ("SET", "votes", "x"),
        ("EVAL", "return 1", "0"),
        ("SET", "{votes}:counted", "7"),
        ("DEL", "votes:limit:address:1:x"),
    ],
    "worker": [
        *NOBODY_MAY,
        ("SMISMEMBER", "votes:roll", "x"),
        ("SET", "{votes}:pushed:x", "1"),
        ("LPUSH", "votes", "x"),
        ("CLIENT", "KILL", "TYPE", "normal"),
    ],
    "result": [
        *NOBODY_MAY,
        ("RPUSH", "votes", "x"),
        ("LTRIM", "votes", "1", "0"),
        ("EVAL", "return 1", "0"),
        ("CLIENT", "KILL", "TYPE", "normal"),
    ],
}


@pytest.mark.parametrize(("user", "command"), [(user, command) for user in FORBIDDEN for command in FORBIDDEN[user]])
def test_a_user_may_not(redis_for_users: GuardedRedis, user: str, command: tuple[str, ...]) -> None:
    assert "permissions" in refusal(redis_for_users.urls[user], *command)


def test_nobody_enters_without_a_password(redis_for_users: GuardedRedis) -> None:
    place = redis_for_users.place

    assert refusal(f"redis://{place}", "PING")
    assert refusal(f"redis://vote:guess@{place}", "PING")
    assert not refusal(redis_for_users.urls["vote"], "PING")


async def test_a_vote_travels_from_vote_to_worker_and_result_sees_the_queue(redis_for_users: GuardedRedis) -> None:
    urls = redis_for_users.urls
    async with (
        VoteQueue.open(urls["owner"]) as owner,
        VoteQueue.open(urls["vote"]) as vote,
        VoteQueue.open(urls["worker"]) as worker,
        VoteQueue.open(urls["result"]) as result,
    ):
        await owner.drop_all()
        await vote.check_writable()
        await result.check_writable()
        await vote.push([message("1", "a"), b"nonsense"])
        assert (await result.stats()).waiting == (await vote.stats()).waiting == 2
        assert (await worker.stats()).waiting == 2
        assert await worker.wait(1)
        peek = await worker.peek(10)
        await worker.reject([(b"nonsense", "no vote")])
        assert await worker.is_at_head(peek)
        assert await worker.settle(peek)
        stats = await result.stats()
        assert (stats.waiting, stats.rejected) == (0, 1)
        for queue in (vote, worker, result):
            await queue.ping()


@pytest.mark.parametrize("user", ["vote", "worker", "result"])
async def test_a_script_that_only_reads_may_not_write(redis_for_users: GuardedRedis, user: str) -> None:
    push = "return redis.call('RPUSH', KEYS[1], 'x')"
    async with VoteQueue.open(redis_for_users.urls["owner"]) as owner:
        await owner.drop_all()

        assert refusal(redis_for_users.urls[user], "EVAL_RO", push, "1", "votes")
        assert await owner.waiting() == 0


async def test_vote_may_say_that_it_runs_and_result_hears_it(redis_for_users: GuardedRedis) -> None:
    urls = redis_for_users.urls
    async with Redis.from_url(urls["result"]) as result:
        announcing = asyncio.create_task(send_heartbeats(urls["vote"], "here:1"))

        async def names() -> list[str]:
            return [service.name for service in await list_vote_services(result)]

        try:
            await eventually_async(lambda: _equals(names(), ["here:1"]), within=20)
        finally:
            await end(announcing)
        await eventually_async(lambda: _equals(names(), []), within=20)


async def _equals(answer: Awaitable[object], wanted: object) -> bool:
    return await answer == wanted


async def test_vote_may_fence_a_push_in_doubt(redis_for_users: GuardedRedis) -> None:
    urls = redis_for_users.urls
    async with VoteQueue.open(urls["owner"]) as owner, VoteQueue.open(urls["vote"]) as vote:
        await owner.drop_all()
        await vote.push([b"1"])
        assert not refusal(urls["owner"], "CLIENT", "PAUSE", "60000", "WRITE")
        try:
            with pytest.raises(QueueUnavailable) as in_doubt:
                await vote.push([b"2"], within=0.3)
            assert not isinstance(in_doubt.value, NotPushed)
            await vote.until_pushable()  # the connection of the one in doubt is ended
        finally:
            assert not refusal(urls["owner"], "CLIENT", "UNPAUSE")
        await vote.push([b"3"])
        assert (await owner.peek(10)).messages == [b"1", b"3"]


async def test_vote_may_ask_the_roll_and_exchange_counts(redis_for_users: GuardedRedis) -> None:
    urls = redis_for_users.urls
    await give_out(urls["owner"], "a key for this test", 3)
    limit = RateLimit("address", 10)
    limit.count("198.51.100.7")
    async with VoterRoll.open(urls["vote"]) as roll, Redis.from_url(urls["vote"]) as client:
        assert not await roll.has("nobody")
        await share_counts(client, limit, "mine")
        with pytest.raises(QueueUnavailable, match="permissions"):
            await roll.add(["me"])
    assert limit.unshared() == {}


def test_the_files_are_for_their_owner_only_and_the_servers_has_no_password(tmp_path: Path) -> None:
    urls = write_users(tmp_path / "users", "redis:6379")

    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "users").iterdir()} == {0o600}
    acl = (tmp_path / "users" / "users.acl").read_text()
    for url in urls.values():
        assert url.partition("@")[0].rpartition(":")[2] not in acl

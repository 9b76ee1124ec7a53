"""Votes go to the queue together, and each voter gets the answer that covers its own vote."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from common.tasks import end
from common.vote_queue import PUSH_TIMEOUT_SECONDS, NotPushed, QueueUnavailable
from tests.fakes import FakeVoteQueue
from vote.pusher import ANSWER_SECONDS, WAIT_SECONDS, VotePusher

pytestmark = pytest.mark.platform


async def test_a_vote_is_in_the_queue_when_its_voter_is_told(pusher: VotePusher, queue: FakeVoteQueue) -> None:
    await pusher.push(b"1")

    assert queue.messages == [b"1"]


async def test_votes_that_arrive_together_share_few_pushes(pusher: VotePusher, queue: FakeVoteQueue) -> None:
    await asyncio.gather(*(pusher.push(b"%d" % number) for number in range(100)))

    assert queue.messages == [b"%d" % number for number in range(100)]
    assert len(queue.pushes) <= 2


async def test_when_the_queue_fails_every_waiting_voter_is_told(pusher: VotePusher, queue: FakeVoteQueue) -> None:
    queue.failing = True

    answers = await asyncio.gather(*(pusher.push(b"1") for _ in range(10)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [NotPushed] * 10


async def test_when_the_answer_is_lost_every_voter_is_told_that_its_vote_is_in_doubt(
    pusher: VotePusher, queue: FakeVoteQueue
) -> None:
    queue.losing_answers = True

    answers = await asyncio.gather(*(pusher.push(b"1") for _ in range(10)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [QueueUnavailable] * 10


async def test_pushing_works_again_when_the_queue_does(pusher: VotePusher, queue: FakeVoteQueue) -> None:
    queue.failing = True
    with pytest.raises(QueueUnavailable):
        await pusher.push(b"1")
    queue.failing = False

    await pusher.push(b"2")

    assert queue.messages == [b"2"]


async def test_a_voter_who_left_before_the_push_is_not_counted(queue: FakeVoteQueue) -> None:
    pusher = VotePusher(queue)
    gone = asyncio.create_task(pusher.push(b"gone"))
    await asyncio.sleep(0)
    gone.cancel()
    stays = asyncio.create_task(pusher.push(b"stays"))
    running = asyncio.create_task(pusher.run())
    await stays

    assert queue.messages == [b"stays"]
    await end(running)


async def test_votes_that_arrive_while_redis_is_away_go_when_it_is_back_in_their_order(
    pusher: VotePusher, queue: FakeVoteQueue
) -> None:
    queue.pushable.clear()
    votes = [asyncio.create_task(pusher.push(b"%d" % number)) for number in range(10)]
    done, _ = await asyncio.wait(votes, timeout=0.05)
    assert not done
    queue.pushable.set()
    await asyncio.gather(*votes)

    assert queue.messages == [b"%d" % number for number in range(10)]
    assert queue.pushes == [10]


async def test_a_vote_whose_time_is_over_before_it_goes_out_is_refused_for_certain(
    pusher: VotePusher, queue: FakeVoteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vote.pusher.WAIT_SECONDS", 0.05)
    queue.pushable.clear()
    queue.problem = "it is away"
    with pytest.raises(NotPushed, match="it is away"):
        await pusher.push(b"late")
    queue.pushable.set()

    await pusher.push(b"in time")

    assert queue.messages == [b"in time"]


async def test_a_service_that_was_paused_does_not_push_what_its_voter_has_given_up(
    queue: FakeVoteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The voter has gone to another service meanwhile: pushed now, the older vote would win."""
    monkeypatch.setattr("vote.pusher.WAIT_SECONDS", 0.05)
    pusher = VotePusher(queue)
    running = asyncio.create_task(pusher.run())
    older = asyncio.create_task(pusher.push(b"older"))
    asyncio.get_running_loop().call_soon(time.sleep, 0.1)  # the pusher's turn comes after this

    with pytest.raises(NotPushed):
        await older
    await pusher.push(b"newer")

    assert queue.messages == [b"newer"]
    await end(running)


async def test_a_vote_that_nobody_waits_for_is_not_pushed(pusher: VotePusher, queue: FakeVoteQueue) -> None:
    """It is asked for just before the push, not when the vote arrives."""
    queue.pushable.clear()
    is_there = True
    gone = asyncio.create_task(pusher.push(b"gone", is_wanted=lambda: is_there))
    stays = asyncio.create_task(pusher.push(b"stays", is_wanted=lambda: True))
    await asyncio.sleep(0)
    is_there = False
    queue.pushable.set()
    await stays

    with pytest.raises(NotPushed):
        await gone
    assert queue.messages == [b"stays"]


async def test_votes_that_wait_behind_a_push_in_doubt_are_not_in_doubt(queue: FakeVoteQueue) -> None:
    """They were not sent: they go with the next push."""
    hangs, goes_on = asyncio.Event(), asyncio.Event()
    pushed: list[bytes] = []

    class Hanging(FakeVoteQueue):
        async def push(self, messages: Sequence[bytes], *, within: float = 1.0) -> int:
            if b"first" in messages:
                hangs.set()
                await goes_on.wait()
                raise QueueUnavailable("Redis: told to fail")
            pushed.extend(messages)
            return len(pushed)

    pusher = VotePusher(Hanging())
    running = asyncio.create_task(pusher.run())
    first = asyncio.create_task(pusher.push(b"first"))
    await hangs.wait()
    second = asyncio.create_task(pusher.push(b"second"))
    await asyncio.sleep(0)
    goes_on.set()

    await second
    with pytest.raises(QueueUnavailable) as in_doubt:
        await first
    assert not isinstance(in_doubt.value, NotPushed)
    assert pushed == [b"second"]
    await end(running)


async def test_a_push_has_no_more_time_than_its_oldest_voter(
    queue: FakeVoteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: list[float] = []

    class Watched(FakeVoteQueue):
        async def push(self, messages: Sequence[bytes], *, within: float = 1.0) -> int:
            allowed.append(within)
            return 1

    watched = Watched()
    pusher = VotePusher(watched)
    running = asyncio.create_task(pusher.run())
    await pusher.push(b"at once")
    watched.pushable.clear()
    waits = asyncio.create_task(pusher.push(b"waits"))
    await asyncio.wait({waits}, timeout=ANSWER_SECONDS - PUSH_TIMEOUT_SECONDS + 0.1)
    watched.pushable.set()
    await waits
    await end(running)

    assert allowed[0] == PUSH_TIMEOUT_SECONDS
    assert ANSWER_SECONDS - WAIT_SECONDS <= allowed[1] < PUSH_TIMEOUT_SECONDS


async def test_who_has_been_told_is_forgotten(queue: FakeVoteQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long Redis is away."""
    monkeypatch.setattr("vote.pusher.WAIT_SECONDS", 0.01)
    queue.pushable.clear()
    pusher = VotePusher(queue)
    running = asyncio.create_task(pusher.run())

    for _ in range(3):
        await asyncio.gather(*(pusher.push(b"1") for _ in range(100)), return_exceptions=True)

    assert not pusher._waiting
    await end(running)

"""Votes go to the queue together, and each voter gets the answer that covers its own vote."""

import asyncio

import pytest

from common.tasks import end
from common.vote_queue import NotPushed, QueueUnavailable
from tests.fakes import FakeVoteQueue
from vote.pusher import VotePusher

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

"""Voters are told when counting is delayed, and nothing when nobody can know."""

from datetime import UTC, datetime, timedelta

import pytest
from quart.typing import TestClientProtocol as Client

from common.health import Health
from common.queue_monitor import QueueMonitor
from common.settings import Settings
from common.vote_queue import DELAYED_SECONDS, QueueStats
from tests.fakes import FakeVoteQueue
from vote.app import create_app
from vote.pusher import VotePusher


class Knowledge(QueueMonitor):
    """What the service knows of the queue, and how often it was asked."""

    def __init__(self) -> None:
        super().__init__(FakeVoteQueue())
        self.asked = 0

    def counting_is_delayed(self) -> bool:
        self.asked += 1
        return super().counting_is_delayed()


@pytest.fixture
def knowledge() -> Knowledge:
    return Knowledge()


@pytest.fixture
def browser(pusher: VotePusher, knowledge: Knowledge) -> Client:
    return create_app(Settings(), pusher, Health(), knowledge.counting_is_delayed).test_client()


def waiting(votes: int, *, seconds: float | None) -> QueueStats:
    cast_at = None if seconds is None else datetime.now(UTC) - timedelta(seconds=seconds)
    return QueueStats(votes, 0, cast_at, 0, ())


async def shown(browser: Client) -> str:
    return await (await browser.get("/")).get_data(as_text=True)


async def test_who_has_voted_is_told_that_counting_is_delayed(browser: Client, knowledge: Knowledge) -> None:
    knowledge.stats = waiting(3, seconds=DELAYED_SECONDS + 1)
    await browser.post("/", form={"vote": "a"})

    assert "is recorded, counting is delayed." in await shown(browser)


async def test_who_has_not_voted_is_not(browser: Client, knowledge: Knowledge) -> None:
    knowledge.stats = waiting(3, seconds=DELAYED_SECONDS + 1)

    assert "delayed" not in await shown(browser)


async def test_casting_a_vote_does_not_wait_for_the_answer(browser: Client, knowledge: Knowledge) -> None:
    await browser.post("/", form={"vote": "a"})
    await browser.post("/api/votes", json={"vote": "a"})

    assert knowledge.asked == 0


@pytest.mark.parametrize("stats", [None, waiting(0, seconds=None), waiting(3, seconds=None)])
async def test_what_is_not_known_to_be_delayed_is_not_said_to_be(
    browser: Client, knowledge: Knowledge, stats: QueueStats | None
) -> None:
    knowledge.stats = stats
    await browser.post("/", form={"vote": "a"})

    page = await shown(browser)

    assert "is recorded." in page
    assert "delayed" not in page


def test_a_vote_that_waits_for_a_moment_is_no_delay(knowledge: Knowledge) -> None:
    knowledge.stats = waiting(3, seconds=0.5)

    assert not knowledge.counting_is_delayed()

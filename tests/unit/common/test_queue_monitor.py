"""The queue's numbers are published while they are current, and vote services are found by their connections."""

import asyncio
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from common import queue_monitor
from common.queue_monitor import MOST_SHOWN, QueueMonitor, VoteService, connection_name, vote_services_among
from tests.fakes import FakeVoteQueue, message
from tests.waiting import eventually_async

COUNTS = st.integers(0, 999_999_999)


@given(st.from_regex(r"[a-zA-Z0-9.-]{1,63}:[0-9]{1,7}", fullmatch=True), COUNTS, COUNTS, COUNTS, st.integers(0, 10**6))
def test_what_is_said_is_read(name: str, accepted: int, refused: int, unrecorded: int, silent: int) -> None:
    said = VoteService(name, accepted, refused, unrecorded, silent)

    assert vote_services_among([{"name": connection_name(said), "idle": str(silent)}]) == (said,)


@given(st.text(max_size=300))
def test_any_host_makes_a_name_that_redis_takes(host: str) -> None:
    name = connection_name(VoteService(host, 1, 2, 3))

    assert all("!" <= character <= "~" for character in name)
    assert len(name) < 200


@pytest.mark.parametrize(
    "name",
    [
        *("", "push-0123", "vote-service", "vote-service/a:1", "vote-service/a:1/1/2", "vote-service/a:1/1/2/3/4"),
        *("vote-service//1/2/3", "vote-service/a:1/-1/2/3", "vote-service/a:1/1/2/x", "vote-service/a b/1/2/3"),
        f"vote-service/{'x' * 101}/1/2/3",
        f"vote-service/a:1/{'9' * 10}/2/3",
        "xvote-service/a:1/1/2/3",
    ],
)
def test_other_clients_of_redis_are_no_vote_services(name: str) -> None:
    assert vote_services_among([{"name": name, "idle": "0"}, {}]) == ()


def test_of_very_many_only_some_are_shown() -> None:
    clients = [{"name": f"vote-service/host:{number}/0/0/0", "idle": "0"} for number in range(MOST_SHOWN * 2)]

    assert len(vote_services_among(clients)) == MOST_SHOWN


def value(name: str) -> float:
    found = REGISTRY.get_sample_value(name)
    assert found is not None
    return found


async def test_the_queue_is_monitored_and_no_old_number_is_shown_when_redis_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue_monitor, "MONITOR_SECONDS", 0.01)
    queue = FakeVoteQueue()
    await queue.push([message("v", "a", cast_at=time.time() - 60), message("w", "a")])
    monitor = QueueMonitor(queue)

    async def two_wait() -> bool:
        return value("votes_waiting") == 2

    async def unknown() -> bool:
        return math.isnan(value("votes_waiting"))

    task = asyncio.create_task(monitor.run())
    try:
        await eventually_async(two_wait, within=20)
        assert 60 <= value("votes_oldest_waiting_seconds") < 90
        assert monitor.stats is not None
        queue.failing = True
        await eventually_async(unknown, within=20)
        assert math.isnan(value("votes_oldest_waiting_seconds"))
        assert monitor.stats is None
    finally:
        task.cancel()

"""Servers that hang, or take a connection and say nothing: every wait has an end, and all comes back by itself."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import asyncpg
import httpx
import pytest

from common.probe import ANSWER_SECONDS
from common.vote_queue import VoteQueue
from local import servers
from result import watch
from tests.fakes import message
from tests.integration.test_outages import TOLD_WITHIN_SECONDS
from tests.services import Service, service
from tests.system import children_of
from tests.waiting import eventually, eventually_async, in_time
from worker import counter

pytestmark = pytest.mark.platform


@contextmanager
def a_server_that_says_nothing() -> Iterator[int]:
    """The port of a server that takes every connection, reads, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for each in taken:
            each.close()


@contextmanager
def hanging(server: servers.Server) -> Iterator[None]:
    """A server whose processes all stand still; they go on afterwards."""
    assert server.process is not None
    processes = [server.process.pid, *children_of(server.process.pid)]
    for each in processes:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT)


@pytest.mark.parametrize("name", ["vote", "worker", "result"])
def test_a_service_whose_servers_say_nothing_answers_says_so_and_stops(name: str) -> None:
    with a_server_that_says_nothing() as port:
        urls = {"redis_url": f"redis://127.0.0.1:{port}", "database_url": f"postgresql://u@127.0.0.1:{port}/votes"}
        with service(name, **urls) as running:
            eventually(lambda: running.get("/healthz").is_success, within=30, despite=(httpx.TransportError,))
            # sooner than a health check gives up
            assert in_time(lambda: running.get("/readyz"), within=ANSWER_SECONDS).status_code == 503
            if name == "vote":
                vote = partial(httpx.post, f"{running.url}/api/votes", json={"vote": "a"}, timeout=30)
                assert in_time(vote, within=TOLD_WITHIN_SECONDS).status_code == 503
        assert running.process.returncode == 0


async def test_while_redis_hangs_votes_are_refused_and_afterwards_all_goes_on(
    queue: VoteQueue, redis: servers.Server, empty_database: str
) -> None:
    with (
        service("vote", redis_url=redis.url) as vote,
        service("worker", redis_url=redis.url, database_url=empty_database) as worker,
    ):
        vote.until_ready()
        worker.until_ready()
        with hanging(redis):
            assert await status_of_a_vote(vote) == 503
            eventually(lambda: worker.get("/readyz").status_code == 503, within=30)
        vote.until_ready()
        worker.until_ready()
        assert await status_of_a_vote(vote) == 202
        await eventually_async(lambda: is_empty(queue), within=30)


async def test_while_the_database_hangs_the_dashboard_says_so_and_afterwards_all_goes_on(
    queue: VoteQueue, redis: servers.Server, empty_database: str, postgres: servers.Server
) -> None:
    with (
        service("worker", redis_url=redis.url, database_url=empty_database) as worker,
        service("result", redis_url=redis.url, database_url=empty_database) as result,
    ):
        worker.until_ready()
        result.until_ready()
        with hanging(postgres):
            eventually(lambda: result.get("/readyz").status_code == 503, within=30)
            assert result.get("/api/tally").status_code == 200
            eventually(lambda: worker.get("/readyz").status_code == 503, within=45)
            await queue.push([message("v", "a")])
        worker.until_ready()
        result.until_ready()
        await eventually_async(lambda: is_empty(queue), within=30)
        eventually(lambda: result.get("/api/tally").json()["total"] == 1, within=20)


@pytest.mark.parametrize("settings", [counter.CONNECTION_SETTINGS, watch.CONNECTION_SETTINGS], ids=["worker", "result"])
async def test_the_database_itself_ends_what_a_service_that_is_gone_left_waiting(
    database: str, settings: dict[str, str]
) -> None:
    """Nobody is there any more to give up, so the server must: here sooner, so that the test need not wait."""
    assert {"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} <= set(settings)
    holder = await asyncpg.connect(database)
    waiter = await asyncpg.connect(database, server_settings=settings | {"lock_timeout": "100ms"})
    async with holder.transaction():
        await holder.execute("LOCK TABLE votes, tallies")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await waiter.fetch("SELECT * FROM tallies")
    await waiter.close()
    await holder.close()


async def status_of_a_vote(vote: Service) -> int:
    async with httpx.AsyncClient(timeout=30) as client:
        return (await client.post(f"{vote.url}/api/votes", json={"vote": "a"})).status_code


async def is_empty(queue: VoteQueue) -> bool:
    return await queue.waiting() == 0

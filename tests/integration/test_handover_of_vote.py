"""Vote is replaced again and again while people vote in every way: no request fails, and no vote is lost or comes back.

The test plays the supervisor: it holds the socket, starts the new process beside the old one, and ends the old one when
the new one is ready.
"""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from asyncpg import Connection

from common.vote_queue import VoteQueue
from local import servers
from proof.browser import Browser
from tests.clients import Answer, Client, Failed
from tests.integration.counting import counting, until_empty, votes_in
from tests.robustness.conftest import NO_LIMITS
from tests.robustness.figures import tried
from tests.supervisor import STOP_SECONDS, Supervisor, supervised
from tests.waiting import BUSY_SECONDS

HANDOVERS = 6
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


@dataclass
class Poll:
    """What voters were told: every answer, and of each voter the last vote that was accepted."""

    port: int
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    last: dict[str, str] = field(default_factory=dict)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, client: Client, *request: object) -> Answer | None:
        """Send a request and note what becomes of it; None when there is no answer."""
        try:
            answer = await client.ask(*request)  # type: ignore[arg-type]
        except Failed as failure:
            self.failures.append(str(failure))
            return None
        self.answers[f"{request[0]} {request[1]} {answer.status}"] += 1
        return answer


@dataclass(frozen=True)
class Manner:
    """How somebody's client behaves: what it keeps, how long it pauses between requests and within one, in seconds."""

    keeps: bool
    thinks: tuple[float, float]
    pauses: tuple[float, ...] = ()


BUSY_MANNERS = [Manner(keeps=True, thinks=(0.0, 0.05)), Manner(keeps=False, thinks=(0.0, 0.05))]
MANNERS = [*BUSY_MANNERS, *[Manner(keeps=True, thinks=(0.1, 2.0))] * 3, Manner(True, (0.0, 0.5), (0.3, 0.9, 0.2))]
EACH = 6  # voters of each kind in each manner


async def vote_by_form(poll: Poll, manner: Manner) -> None:
    """As a browser: the page, then its ballot; now and then twice at once, where the higher number counts."""
    browser, last = Browser(), 0
    clients = [Client(poll.port, keeps=keeps, pauses=manner.pauses) for keeps in (manner.keeps, False)]

    async def cast(client: Client) -> tuple[int, str] | None:
        option, number = random.choice("ab"), browser.next_number()
        body = f"vote={option}&number={number}".encode()
        answer = await poll.ask(client, "POST", "/", FORM | browser.headers(), body)
        if answer is None or answer.status != 303:
            return None
        browser.take(answer.cookies)
        return number or 0, option

    while not poll.is_over.is_set():
        if page := await poll.ask(clients[0], "GET", "/", browser.headers()):
            browser.take(page.cookies)
            browser.read(page.body.decode())
            at_once = clients if random.random() < 0.2 else clients[:1]
            for vote in await asyncio.gather(*(cast(client) for client in at_once)):
                if vote is not None and vote[0] > last and browser.voter:
                    last, poll.last[browser.voter] = vote
        await asyncio.sleep(random.uniform(*manner.thinks))
    clients[0].close()


async def vote_by_json(poll: Poll, manner: Manner, cookies: tuple[str, ...]) -> None:
    """As a program that keeps these cookies, and waits for each answer; without `ballot` its votes have no numbers."""
    browser = Browser()
    client = Client(poll.port, keeps=manner.keeps, pauses=manner.pauses)
    while not poll.is_over.is_set():
        option = random.choice("ab")
        body = json.dumps({"vote": option}).encode()
        answer = await poll.ask(client, "POST", "/api/votes", JSON | browser.headers(), body)
        if answer is not None and answer.status == 202:
            browser.take(cookie for cookie in answer.cookies if cookie.startswith(cookies))
            assert browser.voter
            poll.last[browser.voter] = option
        await asyncio.sleep(random.uniform(*manner.thinks))
    client.close()


async def replace_again_and_again(vote: Supervisor, poll: Poll) -> list[float]:
    """Hand over; returns how long the old processes took to end."""
    took = []
    for _ in range(HANDOVERS):
        await asyncio.sleep(0.5)
        took.append(await asyncio.to_thread(vote.hand_over))
    poll.is_over.set()
    return took


async def test_no_request_fails_and_no_vote_comes_back_while_vote_is_replaced(
    tmp_path: Path, redis: servers.Server, queue: VoteQueue, database: str, connection: Connection
) -> None:
    log = tmp_path / "log"
    with supervised("vote", log, REDIS_URL=redis.url, **NO_LIMITS) as vote:
        poll = Poll(vote.port)
        voters = [voter for manner in MANNERS * EACH for voter in _voters(poll, manner)]
        took, *_ = await asyncio.gather(replace_again_and_again(vote, poll), *voters)
    async with counting(database, queue):
        await until_empty(queue)
    requests = sum(poll.answers.values())
    tried("requests while vote was replaced", requests)
    print(f"{requests} requests in {HANDOVERS} handovers, {poll.answers}; the old ones took {took} s")

    assert poll.failures == []
    assert set(poll.answers) == {"GET / 200", "POST / 303", "POST /api/votes 202"}
    assert await votes_in(connection) == poll.last
    assert max(took) < STOP_SECONDS + BUSY_SECONDS
    assert '"level": "error"' not in log.read_text()


def _voters(poll: Poll, manner: Manner) -> list[object]:
    numbered, unnumbered = ("voter_id", "ballot"), ("voter_id",)
    return [
        vote_by_form(poll, manner),
        vote_by_json(poll, manner, numbered),
        vote_by_json(poll, manner, unnumbered),
    ]

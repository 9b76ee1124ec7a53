"""People who vote and look on while the code is edited, how their requests fare, and the audit of their votes."""

import asyncio
import json
import random
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from bench.settings import BenchError
from proof.audit import Report, audit
from proof.ledger import Cast, Outcome, open_ledger, read_ledger
from proof.register import read_register
from proof.state import NOT_YET, Patience, Where, read_baseline, read_state
from proof.voters import ANSWER_SECONDS as VOTER_SECONDS
from proof.voters import Kind, Manner, vote_until

# Each vote is somebody new's: what a later vote would cover up is seen. They keep their connections.
VOTERS = Kind(Manner.PASSING, 4, thinking=(0.1, 0.1))
LOOKING_SECONDS = 0.1
ANSWER_SECONDS = 10.0
PATIENCE = Patience(drain_seconds=60, dashboard_seconds=10)

T = TypeVar("T")
Window = tuple[float, float]


@dataclass(frozen=True)
class Request:
    """One request, in Unix seconds, and whether it was answered as usual."""

    sent: float
    answered: float
    is_good: bool


@dataclass(frozen=True)
class Impact:
    """How the requests of a stretch of time fared."""

    sent: int = 0
    failed: int = 0
    longest_seconds: float = 0.0


@dataclass
class Traffic:
    """The requests of one environment; they are known at the end, and so is the report of the audit."""

    requests: list[Request] = field(default_factory=list)
    report: Report | None = None

    def impact(self, windows: Iterable[Window]) -> Impact:
        """What became of the requests that were under way in one of these windows."""
        during = {
            request
            for began, ended in windows
            for request in self.requests
            if request.sent < ended and request.answered > began
        }
        longest = max((request.answered - request.sent for request in during), default=0.0)
        return Impact(len(during), sum(not request.is_good for request in during), longest)


@contextmanager
def traffic(folder: Path, vote_url: str, result_url: str, where: Where) -> Iterator[Traffic]:
    """Vote, and ask for the ballot and the dashboard, until the end; then audit the votes."""
    folder.mkdir(parents=True)
    found, enough, ledger = Traffic(), threading.Event(), folder / "ledger-voters.jsonl"
    before = _looked(read_baseline(where, PATIENCE))
    with ThreadPoolExecutor(1, "traffic") as pool:
        going = pool.submit(asyncio.run, _go_on(vote_url, result_url, ledger, found.requests, enough))
        try:
            yield found
        finally:
            enough.set()
        going.result()
    after = _looked(read_state(where, before, folder, PATIENCE))
    found.requests += map(request_of, read_ledger(ledger))
    found.report = audit(read_register(folder), before, after)
    (folder / "audit.json").write_text(json.dumps(found.report.as_json(), indent=2) + "\n", encoding="utf-8")


def request_of(cast: Cast) -> Request:
    """A vote as a request; one that was never answered was given up."""
    answered = min(cast.answered_at, cast.sent_at + VOTER_SECONDS)
    return Request(cast.sent_at, answered, cast.outcome is Outcome.ACCEPTED)


def _looked(look: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(look)
    except NOT_YET as error:
        raise BenchError(f"the votes can't be audited: {error or type(error).__name__}") from error


def cast_one(vote_url: str) -> httpx.Response:
    """Somebody new votes."""
    return httpx.post(f"{vote_url}/api/votes", json={"vote": "a"}, timeout=ANSWER_SECONDS, verify=False)


async def _go_on(
    vote_url: str, result_url: str, ledger_path: Path, requests: list[Request], enough: threading.Event
) -> None:
    stop = asyncio.Event()
    pages = (f"{vote_url}/", f"{result_url}/api/tally")
    with open_ledger(ledger_path) as ledger:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(VOTERS.seats):
                tasks.create_task(vote_until(stop, VOTERS, {"vote": vote_url}, ledger, random.Random(), ballot="ab"))
            for page, keeps in ((page, keeps) for page in pages for keeps in (True, False)):
                tasks.create_task(_look_on(stop, page, requests, keeps_connection=keeps))
            await asyncio.to_thread(enough.wait)
            stop.set()


async def _look_on(stop: asyncio.Event, url: str, requests: list[Request], *, keeps_connection: bool) -> None:
    limits = httpx.Limits(max_keepalive_connections=1 if keeps_connection else 0)
    async with httpx.AsyncClient(limits=limits, timeout=ANSWER_SECONDS, verify=False) as client:
        while not stop.is_set():
            sent = time.time()
            try:
                is_good = (await client.get(url)).is_success
            except httpx.HTTPError:
                is_good = False
            requests.append(Request(sent, time.time(), is_good))
            await asyncio.sleep(LOOKING_SECONDS)

"""The voters: most change their minds a few times and go, so that at any moment some have just cast their last vote.

What a crash does to a vote shows only if the vote was its voter's last: a later one would cover it up.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Coroutine, Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx

from tests.drill.ledger import Ledger, Outcome

# All 26: a voter that goes round them seldom casts the same vote twice, so an older vote can't look like a newer one.
OPTIONS = "abcdefghijklmnopqrstuvwxyz"

STAYING = 6  # change their minds as long as the drill lasts
LEAVING = 18  # change their minds some times, or never, and go; then another one comes
DOUBLE = 4  # vote twice at the same moment, from two tabs
PASSING = 4  # send no cookie and have no name, as programs do

MOST_VOTES = 6

COOKIE = "voter_id"
ACCEPTED = {202, 303}
ANSWER_SECONDS = 20.0
THINKING_SECONDS = (0.0, 0.03)
AFTER_FAILURE_SECONDS = (0.02, 0.2)


Kind = Callable[["PollingPlace", random.Random, asyncio.Event], Coroutine[Any, Any, None]]


class PollingPlace:
    """The vote service as a voter sees it, and the ledger that goes with it."""

    def __init__(self, client: httpx.AsyncClient, ledger: Ledger) -> None:
        self._client = client
        self._ledger = ledger

    async def new_cookie(self) -> str | None:
        """The cookie of a new voter; None if there is no answer now."""
        try:
            answer = await self._client.get("/")
        except httpx.HTTPError:
            return None
        return _cookie(answer)

    async def cast(self, cookie: str | None, option: str, *, as_json: bool) -> bool:
        """Cast a vote and note in the ledger what became of it; returns whether it was accepted."""
        number = self._ledger.send(_voter(cookie), option)
        began = time.monotonic()
        body: dict[str, Any] = {"json": {"vote": option}} if as_json else {"data": {"vote": option}}
        headers = {"Cookie": f"{COOKIE}={cookie}"} if cookie else {}
        voter = None
        try:
            answer = await self._client.post("/api/votes" if as_json else "/", headers=headers, **body)
            outcome, text, voter = _outcome(answer.status_code), str(answer.status_code), _voter(_cookie(answer))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            outcome, text = Outcome.REFUSED, type(error).__name__  # it was never sent
        except httpx.HTTPError as error:
            outcome, text = Outcome.IN_DOUBT, type(error).__name__
        self._ledger.answer_after(time.monotonic() - began, number, outcome, text, voter=voter)
        return outcome is Outcome.ACCEPTED


def all_voters(url: str, ledger: Ledger, seed: int, stop: asyncio.Event) -> Iterator[Coroutine[Any, Any, None]]:
    """Everybody, each to be run as a task; they end after the vote under way once `stop` is set."""
    kinds: dict[Kind, int] = {_staying: STAYING, _leaving: LEAVING, _double: DOUBLE, _passing: PASSING}
    for kind, count in kinds.items():
        for number in range(count):
            yield _run(kind, url, ledger, random.Random(f"{seed} {kind.__name__} {number}"), stop)


async def _run(kind: Kind, url: str, ledger: Ledger, rng: random.Random, stop: asyncio.Event) -> None:
    # a client each, because one pool for all takes longer to find a free connection than the vote takes
    async with httpx.AsyncClient(base_url=url, timeout=ANSWER_SECONDS, verify=False) as client:
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # the voter itself keeps its cookie
        await kind(PollingPlace(client, ledger), rng, stop)


async def _staying(place: PollingPlace, rng: random.Random, stop: asyncio.Event) -> None:
    cookie = await _register(place, rng, stop)
    options = _round_and_round(rng)
    while not stop.is_set():
        await _pause(rng, await place.cast(cookie, next(options), as_json=_coin(rng)))


async def _leaving(place: PollingPlace, rng: random.Random, stop: asyncio.Event) -> None:
    while cookie := await _register(place, rng, stop):
        options = _round_and_round(rng)
        for _ in range(rng.randint(1, MOST_VOTES)):
            if not stop.is_set():
                await _pause(rng, await place.cast(cookie, next(options), as_json=_coin(rng)))


async def _double(place: PollingPlace, rng: random.Random, stop: asyncio.Event) -> None:
    while cookie := await _register(place, rng, stop):
        options = _round_and_round(rng)
        for _ in range(rng.randint(1, MOST_VOTES)):
            if not stop.is_set():
                tabs = (place.cast(cookie, next(options), as_json=_coin(rng)) for _ in range(2))
                await _pause(rng, all(await asyncio.gather(*tabs)))


async def _passing(place: PollingPlace, rng: random.Random, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await _pause(rng, await place.cast(None, rng.choice(OPTIONS), as_json=_coin(rng)))


async def _register(place: PollingPlace, rng: random.Random, stop: asyncio.Event) -> str | None:
    """The cookie of a new voter, None when it is time to stop."""
    while not stop.is_set():
        if cookie := await place.new_cookie():
            return cookie
        await _pause(rng, False)
    return None


def _round_and_round(rng: random.Random) -> Iterator[str]:
    return itertools.cycle(rng.sample(OPTIONS, len(OPTIONS)))


def _coin(rng: random.Random) -> bool:
    return rng.random() < 0.5


async def _pause(rng: random.Random, accepted: bool) -> None:
    await asyncio.sleep(rng.uniform(*(THINKING_SECONDS if accepted else AFTER_FAILURE_SECONDS)))


def _outcome(status: int) -> Outcome:
    if status in ACCEPTED:
        return Outcome.ACCEPTED
    return Outcome.REFUSED if status < 500 else Outcome.IN_DOUBT


def _cookie(answer: httpx.Response) -> str | None:
    for header in answer.headers.get_list("set-cookie"):
        name, _, rest = header.partition("=")
        if name == COOKIE:
            return str(rest.partition(";")[0])
    return None


def _voter(cookie: str | None) -> str | None:
    # what stands after the dot is the signature
    return cookie.partition(".")[0] if cookie else None

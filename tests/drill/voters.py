"""The voters: some change their minds for ever, some vote once and go, some vote twice at the same moment."""

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

FICKLE = 20
DOUBLE = 4
ONE_TIME = 6

COOKIE = "voter_id"
ACCEPTED = {202, 303}
ANSWER_SECONDS = 20.0
THINKING_SECONDS = (0.0, 0.04)
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
        self._ledger.answer(number, outcome, text, voter=voter, seconds=time.monotonic() - began)
        return outcome is Outcome.ACCEPTED


def all_voters(url: str, ledger: Ledger, seed: int, stop: asyncio.Event) -> Iterator[Coroutine[Any, Any, None]]:
    """Everybody, each to be run as a task; they end after the vote under way once `stop` is set."""
    kinds: list[tuple[Kind, int]] = [(_fickle, FICKLE), (_double, DOUBLE), (_one_time, ONE_TIME)]
    for kind, count in kinds:
        for number in range(count):
            yield _run(kind, url, ledger, random.Random(f"{seed} {kind.__name__} {number}"), stop)


async def _run(kind: Kind, url: str, ledger: Ledger, rng: random.Random, stop: asyncio.Event) -> None:
    # a client each, because one pool for all takes longer to find a free connection than the vote takes
    async with httpx.AsyncClient(base_url=url, timeout=ANSWER_SECONDS, verify=False) as client:
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # the voter itself keeps its cookie
        await kind(PollingPlace(client, ledger), rng, stop)


async def _fickle(place: PollingPlace, rng: random.Random, stop: asyncio.Event) -> None:
    cookie = await _register(place, rng, stop)
    for option in _round_and_round(rng):
        if stop.is_set():
            return
        await _pause(rng, await place.cast(cookie, option, as_json=rng.random() < 0.5))


async def _double(place: PollingPlace, rng: random.Random, stop: asyncio.Event) -> None:
    cookie = await _register(place, rng, stop)
    options = _round_and_round(rng)
    while not stop.is_set():
        accepted = await asyncio.gather(*(place.cast(cookie, next(options), as_json=way) for way in (True, False)))
        await _pause(rng, all(accepted))


async def _one_time(place: PollingPlace, rng: random.Random, stop: asyncio.Event) -> None:
    """One after the other: new voters who vote until they are heard; half of them never look at the page first."""
    while not stop.is_set():
        cookie = await _register(place, rng, stop) if rng.random() < 0.5 else None
        option = rng.choice(OPTIONS)
        accepted = False
        while not accepted and not stop.is_set():
            accepted = await place.cast(cookie, option, as_json=rng.random() < 0.5)
            await _pause(rng, accepted)
            if cookie is None:
                break  # a second try would be another voter


async def _register(place: PollingPlace, rng: random.Random, stop: asyncio.Event) -> str | None:
    while not stop.is_set():
        if cookie := await place.new_cookie():
            return cookie
        await _pause(rng, False)
    return None


def _round_and_round(rng: random.Random) -> Iterator[str]:
    return itertools.cycle(rng.sample(OPTIONS, len(OPTIONS)))


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

"""The voters of a drill, and how one votes: what it sends is noted before, what it is told after.

Most change their minds a few times and go, so that at any moment some have just cast their last vote: what a crash does
to a vote shows only if the vote was its voter's last, because a later one would cover it up. Whoever numbers its votes
is impatient: it gives up, and votes at the other service, while its vote is on its way at the first.
"""

import asyncio
import itertools
import math
import random
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx

from proof.browser import Browser
from proof.ledger import Ledger, Outcome, outcome_of

# All 26: a voter that cycles through them rarely repeats a vote, so an older vote can't be mistaken for a newer one.
OPTIONS = "abcdefghijklmnopqrstuvwxyz"

ANSWER_SECONDS = 20.0
IMPATIENT_SECONDS = (0.4, 1.5)
THINKING_SECONDS = (0.0, 0.03)
AFTER_FAILURE_SECONDS = (0.02, 0.2)
# Voters who stay and never fail cast fewer than the 300 votes a minute that LIMIT_PER_VOTER allows.
STAYING_SECONDS = (0.25, 0.4)
MOST_VOTES = 6
MORE_TRIES = 4  # of a voter who is leaving, but was not told that its last vote was accepted
ELSEWHERE = 0.05  # how often a voter changes the service for no reason


class Manner(StrEnum):
    """How a voter votes, and by what the order of its votes is known."""

    SCRIPT = "a browser with script: it raises the number of its page at each sending"
    PAGE = "a browser without script: it loads the page before each vote, and sends its number"
    NUMBERING = "a program that numbers its votes"
    WAITING = "a program that only keeps cookies: it waits for each answer, and the queue's order counts"
    PASSING = "a program without cookies: each vote is somebody new's"


@dataclass(frozen=True)
class Kind:
    """So many voters of a kind."""

    manner: Manner
    seats: int
    stays: bool = False  # changes its mind as long as the drill lasts; the others go, and new ones come
    at_once: int = 1  # votes, as from two tabs
    thinking: tuple[float, float] = THINKING_SECONDS


CROWD = (
    Kind(Manner.SCRIPT, 3, stays=True, thinking=STAYING_SECONDS),
    Kind(Manner.NUMBERING, 2, stays=True, thinking=STAYING_SECONDS),
    Kind(Manner.SCRIPT, 1, stays=True),  # more than it may: refused votes are not to be counted
    Kind(Manner.SCRIPT, 8),
    Kind(Manner.SCRIPT, 4, at_once=2),
    Kind(Manner.PAGE, 4),
    Kind(Manner.NUMBERING, 4),
    Kind(Manner.WAITING, 4),
    Kind(Manner.PASSING, 4),
)


@dataclass
class Voter:
    """One voter at a time; `services` are the addresses of the vote services by name, the present one first."""

    client: httpx.AsyncClient
    ledger: Ledger
    services: dict[str, str]
    manner: Manner
    rng: random.Random
    ballot: str = OPTIONS

    def __post_init__(self) -> None:
        self.client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # its browser keeps them
        self.forget()

    def forget(self) -> None:
        """Be somebody new."""
        self.browser = Browser()
        self.options = itertools.cycle(self.rng.sample(self.ballot, len(self.ballot)))

    @property
    def is_known(self) -> bool:
        """Whether it is a voter whom the service has given a name."""
        return self.browser.voter is not None

    @property
    def is_patient(self) -> bool:
        """Whether it waits for each answer, because nothing but the queue's order says which vote is its last."""
        return self.manner in (Manner.WAITING, Manner.PASSING)

    async def arrive(self) -> bool:
        """Load the page; returns whether there was an answer. If not, the next one is loaded elsewhere."""
        return await self._load() is not None

    async def vote(self) -> bool:
        """Cast the next vote; returns whether it was accepted. If not, the impatient cast the next one elsewhere."""
        paper = None
        if self.manner is Manner.PAGE:
            page = await self._load()
            if page is None:
                return False
            paper = self.browser.read(page)
        elif self.manner in (Manner.SCRIPT, Manner.NUMBERING):
            paper = self.browser.next_number()
        name = next(iter(self.services))
        accepted = await self._cast(name, next(self.options), paper)
        if (not accepted and not self.is_patient) or self.rng.random() < ELSEWHERE:
            self._leave(name)
        return accepted

    async def _cast(self, name: str, option: str, number: int | None) -> bool:
        ledger, browser = self.ledger, Browser() if self.manner is Manner.PASSING else self.browser
        fields = {"vote": option} if number is None else {"vote": option, "number": number}
        is_form = self.manner in (Manner.SCRIPT, Manner.PAGE)
        body: dict[str, Any] = {"data": fields} if is_form else {"json": fields}
        line = ledger.send(browser.voter, option, number=number, service=name)
        try:
            answer = await self.client.post(
                f"{self.services[name]}{'/' if is_form else '/api/votes'}",
                headers=browser.headers(),
                timeout=self._patience(),
                **body,
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            ledger.answer(line, Outcome.REFUSED, type(error).__name__)  # it was never sent
        except httpx.TimeoutException as error:
            ledger.give_up(line, type(error).__name__)
        except httpx.HTTPError as error:
            ledger.answer(line, Outcome.IN_DOUBT, type(error).__name__)
        else:
            outcome, voter = outcome_of(answer.status_code), browser.take(answer.headers.get_list("set-cookie"))
            cast_at = _cast_at(answer) if outcome is Outcome.ACCEPTED else None
            ledger.answer(line, outcome, str(answer.status_code), voter=voter, cast_at=cast_at)
            return outcome is Outcome.ACCEPTED
        return False

    async def _load(self) -> str | None:
        name, url = next(iter(self.services.items()))
        try:
            answer = await self.client.get(f"{url}/", headers=self.browser.headers(), timeout=self._patience())
        except httpx.HTTPError:
            self._leave(name)
            return None
        self.browser.take(answer.headers.get_list("set-cookie"))
        self.browser.number = self.browser.number or 0
        self.browser.read(answer.text)
        return answer.text

    def _patience(self) -> float:
        return ANSWER_SECONDS if self.is_patient else self.rng.uniform(*IMPATIENT_SECONDS)

    def _leave(self, name: str) -> None:
        """Go to another service, if there is one."""
        self.services[name] = self.services.pop(name)


def all_voters(
    services: Mapping[str, str], ledger: Ledger, seed: int, stop: asyncio.Event
) -> Iterator[Coroutine[Any, Any, None]]:
    """Everybody, each to be run as a task; they end after the vote under way once `stop` is set."""
    for place, kind in enumerate(CROWD):
        for seat in range(kind.seats):
            rng = random.Random(f"{seed} {place} {seat}")
            names = rng.sample(sorted(services), len(services))
            yield vote_until(stop, kind, {name: services[name] for name in names}, ledger, rng)


async def vote_until(
    stop: asyncio.Event,
    kind: Kind,
    services: dict[str, str],
    ledger: Ledger,
    rng: random.Random,
    *,
    ballot: str = OPTIONS,
) -> None:
    """One voter after the other, on one seat."""
    # a client each, because one pool for all takes longer to find a free connection than the vote takes
    async with httpx.AsyncClient(verify=False) as client:
        voter = Voter(client, ledger, services, kind.manner, rng, ballot)
        while not stop.is_set():
            if kind.manner is not Manner.PASSING and not voter.is_known and not await voter.arrive():
                await asyncio.sleep(rng.uniform(*AFTER_FAILURE_SECONDS))
                continue
            await _change_mind(voter, kind, math.inf if kind.stays else rng.randint(1, MOST_VOTES), stop)
            voter.forget()


async def _change_mind(voter: Voter, kind: Kind, votes: float, stop: asyncio.Event) -> None:
    """So many votes; and some more, until the last one is accepted."""
    tries, accepted = 0, True
    while not stop.is_set() and (tries < votes or (not accepted and tries < votes + MORE_TRIES)):
        accepted = all(await asyncio.gather(*(voter.vote() for _ in range(kind.at_once))))
        await asyncio.sleep(voter.rng.uniform(*(kind.thinking if accepted else AFTER_FAILURE_SECONDS)))
        tries += 1


def _cast_at(answer: httpx.Response) -> str | None:
    """When the vote was accepted, as the answer says."""
    by_form: str | None = answer.headers.get("X-Cast-At")
    return answer.json().get("cast_at") if answer.status_code == httpx.codes.ACCEPTED else by_form

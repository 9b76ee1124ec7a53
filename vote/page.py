"""The ballot page: works without JavaScript."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from quart import Quart, g, redirect, render_template, request, url_for
from quart.typing import ResponseReturnValue
from quart_schema import hide
from werkzeug.exceptions import HTTPException

from common.settings import Settings
from common.web import INSTANCE, Refused, Templates, as_refused, beside, rfc3339
from vote.body import FORM, Paper, paper_of_form, read_body
from vote.casting import PollingStation
from vote.door import Door
from vote.handover import handed_over
from vote.voter import Voter

MOST_KEPT = 200  # pages

_beside = lru_cache(1000)(beside)


@dataclass(frozen=True, slots=True)
class _Facts:
    """All that the page depends on."""

    choice: str | None
    delayed: bool
    results_url: str


class BallotPages:
    """The ballot page, which is the same for everybody with the same choice: those seen last are kept."""

    def __init__(
        self,
        station: PollingStation,
        door: Door,
        settings: Settings,
        templates: Templates,
        is_delayed: Callable[[], bool],
    ) -> None:
        self._station = station
        self._door = door
        self._settings = settings
        self._is_delayed = is_delayed
        self._kept: dict[_Facts, bytes] = {}
        self._templates = templates
        self._version = templates.version()

    def known(self, voter: Voter, scheme: str, host: str) -> bytes | None:
        """The page for this voter as it is now, if somebody has seen it before."""
        try:
            return self._kept.get(self._facts(voter, scheme, host))
        except ValueError:  # no host
            return None

    async def page(self, voter: Voter) -> bytes:
        """The same, made if need be; for the request under way."""
        facts = self._facts(voter, request.scheme, request.host)
        page = self._kept.get(facts)
        if page is None:
            page = (await self._render(facts)).encode()
            if len(self._kept) >= MOST_KEPT:  # hosts are what clients write
                self._kept.clear()
            self._kept[facts] = page
        return page

    async def refusal(self, voter: Voter, problem: Refused, code: str) -> str:
        """The page with what is wrong."""
        facts = _Facts(voter.choice, False, self._results_url(request.scheme, request.host))
        return await self._render(facts, problem=problem, code=code)

    def _facts(self, voter: Voter, scheme: str, host: str) -> _Facts:
        if (version := self._templates.version()) != self._version:
            self._version = version
            self._kept.clear()
        delayed = voter.choice is not None and self._is_delayed()
        return _Facts(voter.choice, delayed, self._results_url(scheme, host))

    def _results_url(self, scheme: str, host: str) -> str:
        return self._settings.result_url or _beside(scheme, host, self._settings.result_port)

    async def _render(self, facts: _Facts, *, problem: Refused | None = None, code: str = "") -> str:
        return await render_template(
            "ballot.html",
            question=self._station.ballot.question,
            options=self._station.ballot.options,
            choice=facts.choice,
            choice_label=self._station.ballot.label(facts.choice) if facts.choice else None,
            problem=problem,
            delayed=facts.delayed,
            asks_code=self._door.asks_code,
            code=code,
            instance=INSTANCE,
            results_url=facts.results_url,
        )


def add_page(app: Quart, station: PollingStation, door: Door, pages: BallotPages) -> None:
    """Add `GET /` and `POST /`."""

    @app.get("/")
    @hide
    async def ballot_page() -> ResponseReturnValue:
        # a voter is known from the first look on: two votes at once are then two of one voter
        g.voter = station.voter(request.cookies)
        return await pages.page(g.voter)

    @app.post("/")
    @hide
    async def cast_by_form() -> ResponseReturnValue:
        handed = handed_over(request.scope)
        g.voter = handed.voter if handed else station.voter(request.cookies)
        paper = Paper("", "")
        try:
            if handed:
                raise handed.error
            door.count(g.voter, request.remote_addr)
            paper = paper_of_form(await read_body(request, FORM))
            g.voter = await door.admit(g.voter, paper.code)
            receipt = await station.cast(g.voter, paper.option)
        except (Refused, HTTPException) as error:
            refused = as_refused(error)
            return await pages.refusal(g.voter, refused, paper.code), refused.status, refused.headers
        g.voter = receipt.voter
        answer = redirect(url_for("ballot_page"), 303)
        # which vote was accepted, for those who want to look for it later
        answer.headers["X-Cast-At"] = rfc3339(receipt.cast_at)
        return answer

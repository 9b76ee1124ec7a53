"""The ballot page: works without JavaScript. It is the same for everybody with the same choice, but for its number."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from common.ballot import Ballot
from common.origin import beside
from common.settings import Settings
from common.web import INSTANCE, Refused, Templates
from vote.voter import Voter

MOST_KEPT = 200  # pages
NUMBER = secrets.token_hex()  # stands where the ballot's number goes: nobody can write it into a label

_beside = lru_cache(1000)(beside)


@dataclass(frozen=True, slots=True)
class _Facts:
    """All that the page depends on, but the number."""

    choice: str | None
    delayed: bool
    results_url: str


class BallotPages:
    """Makes the pages; those seen last are kept until a template is edited."""

    def __init__(
        self, templates: Templates, ballot: Ballot, settings: Settings, is_delayed: Callable[[], bool] = lambda: False
    ) -> None:
        self._templates = templates
        self._version = templates.version()
        self._ballot = ballot
        self._settings = settings
        self._is_delayed = is_delayed
        self._kept: dict[_Facts, tuple[bytes, bytes]] = {}

    async def page(self, voter: Voter, scheme: str, host: str) -> bytes:
        """The page for this voter, with the ballot that it has now."""
        if (version := self._templates.version()) != self._version:
            self._version = version
            self._kept.clear()
        delayed = voter.choice is not None and self._is_delayed()
        facts = _Facts(voter.choice, delayed, self._results_url(scheme, host))
        parts = self._kept.get(facts)
        if parts is None:
            before, _, after = (await self._render(facts)).partition(NUMBER)
            parts = before.encode(), after.encode()
            if len(self._kept) >= MOST_KEPT:  # hosts are what clients write
                self._kept.clear()
            self._kept[facts] = parts
        return b"%b%d%b" % (parts[0], voter.number or 0, parts[1])

    async def refusal(self, voter: Voter, scheme: str, host: str, problem: Refused, code: str = "") -> bytes:
        """The page with what is wrong."""
        facts = _Facts(voter.choice, False, self._results_url(scheme, host))
        page = await self._render(facts, problem=problem, code=code)
        return page.replace(NUMBER, str(voter.number), 1).encode()

    def _results_url(self, scheme: str, host: str) -> str:
        return self._settings.result_url or _beside(scheme, host, self._settings.result_port)

    async def _render(self, facts: _Facts, *, problem: Refused | None = None, code: str = "") -> str:
        return await self._templates.render(
            "ballot.html",
            question=self._ballot.question,
            options=self._ballot.options,
            choice=facts.choice,
            choice_label=self._ballot.label(facts.choice) if facts.choice else None,
            number=NUMBER,
            problem=problem,
            delayed=facts.delayed,
            asks_code=self._settings.voter_codes == "on",
            code=code,
            instance=INSTANCE,
            results_url=facts.results_url,
        )

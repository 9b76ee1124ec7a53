"""The ballot page, which works without JavaScript. But for its number, it depends only on the voter's choice."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from common.ballot import Ballot
from common.origin import sibling_url
from common.settings import Settings
from common.web import INSTANCE, Refused, Templates
from vote.voter import Voter

MOST_CACHED = 200  # pages
NUMBER = secrets.token_hex()  # a placeholder for the ballot's number that no label can contain

_sibling_url = lru_cache(1000)(sibling_url)


@dataclass(frozen=True, slots=True)
class _PageKey:
    """All that the page depends on, except the number."""

    choice: str | None
    delayed: bool
    results_url: str


class BallotPages:
    """Renders the pages, and caches them until a template is edited."""

    def __init__(
        self, templates: Templates, ballot: Ballot, settings: Settings, is_delayed: Callable[[], bool] = lambda: False
    ) -> None:
        self._templates = templates
        self._version = templates.version()
        self._ballot = ballot
        self._settings = settings
        self._is_delayed = is_delayed
        self._cache: dict[_PageKey, tuple[bytes, bytes]] = {}

    async def page(self, voter: Voter, scheme: str, host: str) -> bytes:
        """The page for this voter, with its current ballot."""
        if (version := self._templates.version()) != self._version:
            self._version = version
            self._cache.clear()
        delayed = voter.choice is not None and self._is_delayed()
        key = _PageKey(voter.choice, delayed, self._results_url(scheme, host))
        parts = self._cache.get(key)
        if parts is None:
            before, _, after = (await self._render(key)).partition(NUMBER)
            parts = before.encode(), after.encode()
            if len(self._cache) >= MOST_CACHED:  # clients may send any host
                self._cache.clear()
            self._cache[key] = parts
        return b"%b%d%b" % (parts[0], voter.number or 0, parts[1])

    async def refusal(self, voter: Voter, scheme: str, host: str, problem: Refused, code: str = "") -> bytes:
        """The page with the reason of a refusal."""
        key = _PageKey(voter.choice, False, self._results_url(scheme, host))
        page = await self._render(key, problem=problem, code=code)
        return page.replace(NUMBER, str(voter.number), 1).encode()

    def _results_url(self, scheme: str, host: str) -> str:
        return self._settings.result_url or _sibling_url(scheme, host, self._settings.result_port)

    async def _render(self, key: _PageKey, *, problem: Refused | None = None, code: str = "") -> str:
        return await self._templates.render(
            "ballot.html",
            question=self._ballot.question,
            options=self._ballot.options,
            choice=key.choice,
            choice_label=self._ballot.label(key.choice) if key.choice else None,
            number=NUMBER,
            problem=problem,
            delayed=key.delayed,
            asks_code=self._settings.voter_codes == "on",
            code=code,
            instance=INSTANCE,
            results_url=key.results_url,
        )

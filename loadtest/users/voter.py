"""People: they open the page, vote by its form, sometimes change their mind, and sometimes press twice at once."""

import random
import re
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust import between, task

from loadtest.settings import limits
from loadtest.users.booth import Booth, set_cookies
from proof.browser import Browser

PAGE = "GET / (ballot)"
PAGE_AFTER = "GET / (voted)"

OPTION = re.compile(r'name="vote" value="([a-z])"')
CHOSEN = re.compile(r'is-chosen"[^>]*? value="([a-z])"')

LIMITS = limits()
PEOPLE = LIMITS["people"]


class Voter(Booth):
    """A seat in front of the ballot: one person after the other sits down, votes, and leaves."""

    weight = LIMITS["weights"]["Voter"]
    wait_time = between(*PEOPLE["think_seconds"])

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.person: Browser | None = None
        self.options: list[str] = []
        self.choice = ""

    @task
    def act(self) -> None:
        """Do the next thing."""
        if self.person is None or not self.options:
            self._arrive()
        elif not self.choice:
            self._vote(self.person, random.choice(self.options))
        elif random.random() < PEOPLE["votes_twice_at_once"]:
            self._press_twice(self.person)
        elif random.random() < PEOPLE["changes_mind"]:
            self._vote(self.person, random.choice(self.options))
        else:
            self._arrive()

    def _arrive(self) -> None:
        self.person, self.choice = Browser(), ""
        with self.client.get("/", name=PAGE, catch_response=True) as response:
            self.options = OPTION.findall(response.text or "") if response.status_code == 200 else []
            if response.status_code == 200 and (len(self.options) < 2 or not self._knows_me(response)):
                response.failure("the page is no ballot")

    def _knows_me(self, response: Any) -> bool:
        assert self.person is not None
        self.person.read(response.text or "")
        return self.person.take(set_cookies(response)) is not None

    def _vote(self, person: Browser, option: str) -> None:
        if not self.cast_by_form(person, option):
            self.choice = ""  # and tries again
            return
        self.choice = option
        with self.client.get("/", headers=person.headers(), name=PAGE_AFTER, catch_response=True) as response:
            self._knows_me(response)
            if response.status_code == 200 and CHOSEN.findall(response.text or "") != [option]:
                response.failure("the page does not show the vote")

    def _press_twice(self, person: Browser) -> None:
        presses = [gevent.spawn(self.cast_by_form, person, option) for option in random.sample(self.options, 2)]
        gevent.joinall(presses)
        self.choice = self.options[0]  # whichever it is: the numbers of their papers say which one stays

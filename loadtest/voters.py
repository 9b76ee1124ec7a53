"""Those who vote: people by the form, programs by the API, and arrivals at set times.

What a voter sends is noted in the ledger before, what it is told after; the answer is also checked for its meaning.
"""

import json
import random
import re
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import gevent  # type: ignore[import-untyped]
from gevent.pool import Pool  # type: ignore[import-untyped]
from locust import FastHttpUser, between, constant, task
from locust.contrib.fasthttp import FastResponse

from loadtest.ledgers import current
from loadtest.profiles import Schedule
from loadtest.settings import limits
from proof.browser import Browser, cookies_of, voter_of
from proof.ledger import Outcome, outcome_of

PAGE = "GET / (ballot)"
PAGE_AFTER = "GET / (voted)"
FORM_VOTE = "POST / (vote)"
API_VOTE = "POST /api/votes"
FORGED_VOTE = "abuse: forged cookie"  # counts for somebody new, as it must
OPEN_VOTE = "vote (from when it was due)"

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
OPTION = re.compile(r'name="vote" value="([a-z])"')
CHOSEN = re.compile(r'is-chosen"[^>]*? value="([a-z])"')
TOO_MANY = 429
ANSWER_SECONDS = 15.0
NEVER_SENT = (ConnectionRefusedError,)

MOST_UNDER_WAY = 500  # votes of one source; what is due beyond that waits, and its wait is measured
STOP_SECONDS = 5.0

LIMITS = limits()
WEIGHTS, PEOPLE = LIMITS["weights"], LIMITS["people"]


class VotingUser(FastHttpUser):
    """A user that can vote. Its HTTP client follows no redirects and keeps no cookies: both are the browser's job."""

    abstract = True
    connection_timeout = ANSWER_SECONDS
    network_timeout = ANSWER_SECONDS

    def on_start(self) -> None:
        client: Any = self.client.client
        client.redirect_response_codes = frozenset()
        client.cookiejar = None

    def cast_by_form(self, browser: Browser, option: str) -> bool:
        """Vote as the page's button does; returns whether the vote was accepted."""
        # In a greenlet of its own: the answer is noted even if the user is stopped meanwhile.
        return bool(gevent.spawn(self._cast_by_form, browser, option).get())

    def cast_by_api(self, browser: Browser, option: str, *, label: str | None = None) -> str | None:
        """Vote as a program does; returns the receipt's `cast_at`, None if the vote was not accepted."""
        cast_at: str | None = gevent.spawn(self._cast_by_api, browser, option, label).get()
        return cast_at

    def _cast_by_form(self, browser: Browser, option: str) -> bool:
        number = browser.next_number()
        line = current.ledger.send(browser.voter, option, number=number)
        headers = FORM | browser.headers()
        form = f"vote={option}" if number is None else f"vote={option}&number={number}"
        with self.client.post("/", data=form, headers=headers, name=FORM_VOTE, catch_response=True) as response:
            wrong = "" if response.status_code != 303 else _wrong_redirect(browser, response)
            cast_at = (response.headers or {}).get("X-Cast-At")
            return note_answer(response, line, browser, cast_at=cast_at, wrong=wrong)

    def _cast_by_api(self, browser: Browser, option: str, label: str | None) -> str | None:
        line = current.ledger.send(browser.voter, option)
        body, headers = json.dumps({"vote": option}), JSON | browser.headers()
        with self.client.post("/api/votes", data=body, headers=headers, name=API_VOTE, catch_response=True) as response:
            cast_at, wrong = (None, "") if response.status_code != 202 else _read_receipt(response, option, label)
            accepted = note_answer(response, line, browser, cast_at=cast_at, wrong=wrong)
            return cast_at if accepted else None


def report(user: Any, name: str, seconds: float, failure: Exception | None = None, *, kind: str = "WS") -> None:
    """Add to Locust's table what is not one of its requests."""
    user.environment.events.request.fire(
        request_type=kind, name=name, response_time=1000 * seconds, response_length=0, exception=failure, context={}
    )


def note_answer(response: Any, line: int, browser: Browser, *, cast_at: str | None, wrong: str) -> bool:
    """Note in the ledger and for Locust what became of a vote; returns whether it was accepted."""
    outcome, answer = judge(response)
    taken_for = browser.take(set_cookies(response))
    current.ledger.answer(line, outcome, answer, voter=taken_for, cast_at=cast_at)
    if outcome is Outcome.ACCEPTED and not wrong:
        response.success()
    else:
        response.failure(wrong or f"{answer}: {outcome}")
    return outcome is Outcome.ACCEPTED


def judge(response: FastResponse) -> tuple[Outcome, str]:
    """What an answer, or its absence, says about a vote; the text is one of a few, because Locust keeps each."""
    status = response.status_code
    if status:
        hint = ": set LIMIT_PER_ADDRESS=0 where vote runs" if status == TOO_MANY else ""
        return outcome_of(status), f"{status}{hint}"
    error = getattr(response, "error", None)
    return (Outcome.REFUSED if isinstance(error, NEVER_SENT) else Outcome.IN_DOUBT), type(error).__name__


def set_cookies(response: Any) -> Sequence[str]:
    return response.headers.getlist("set-cookie") if response.headers else ()


def _wrong_redirect(browser: Browser, response: Any) -> str:
    cookies = cookies_of(set_cookies(response))
    if response.headers.get("Location") != "/":
        return "303 to another page"
    if not cookies.keys() & {"ballot", "__Host-ballot"}:
        return "303 without the cookie ballot"
    if browser.voter and voter_of(cookies) != browser.voter:
        return "303 for another voter"
    return ""


def _read_receipt(response: Any, option: str, label: str | None) -> tuple[str | None, str]:
    try:
        receipt = json.loads(response.text)
        datetime.fromisoformat(receipt["cast_at"])
    except (ValueError, KeyError, TypeError):
        return None, "202 without a receipt"
    if receipt.get("vote") != option or (label and receipt.get("label") != label):
        return receipt["cast_at"], "202 for another vote"
    return receipt["cast_at"], ""


class Voter(VotingUser):
    """A seat in front of the ballot: one person after another opens the page, votes by its form, and leaves.

    Some change their minds, and some press twice at once.
    """

    weight = WEIGHTS["Voter"]
    wait_time = between(*PEOPLE["think_seconds"])

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.person: Browser | None = None
        self.options: list[str] = []
        self.choice = ""

    @task
    def act(self) -> None:
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
        self.client.client.clientpool.close()  # somebody new has a connection of their own; a program keeps its one
        with self.client.get("/", name=PAGE, catch_response=True) as response:
            self.options = OPTION.findall(response.text or "") if response.status_code == 200 else []
            if response.status_code == 200 and (len(self.options) < 2 or not self._is_known(response)):
                response.failure("the page is not a ballot")

    def _is_known(self, response: Any) -> bool:
        assert self.person is not None
        self.person.read(response.text or "")
        return self.person.take(set_cookies(response)) is not None

    def _vote(self, person: Browser, option: str) -> None:
        if not self.cast_by_form(person, option):
            self.choice = ""  # and tries again
            return
        self.choice = option
        with self.client.get("/", headers=person.headers(), name=PAGE_AFTER, catch_response=True) as response:
            self._is_known(response)
            if response.status_code == 200 and CHOSEN.findall(response.text or "") != [option]:
                response.failure("the page does not show the vote")

    def _press_twice(self, person: Browser) -> None:
        presses = [gevent.spawn(self.cast_by_form, person, option) for option in random.sample(self.options, 2)]
        gevent.joinall(presses)
        self.choice = self.options[0]  # either of them: the numbers of their ballots decide which one stays


class ApiVoter(VotingUser):
    """A program that votes by the API, as somebody new or as the same voter who changes its mind."""

    weight = WEIGHTS["ApiVoter"]
    wait_time = between(*PEOPLE["think_seconds"])

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.labels: dict[str, str] = {}
        self.browser = Browser()

    @task
    def vote(self) -> None:
        """Cast one vote, after reading the ballot if it is the first."""
        if not self.labels and not self._read_ballot():
            return
        if random.random() >= PEOPLE["changes_mind"]:
            self.browser = Browser()
        option = random.choice(list(self.labels))
        self.cast_by_api(self.browser, option, label=self.labels[option])

    def _read_ballot(self) -> bool:
        with self.client.get("/api/ballot", name="GET /api/ballot", catch_response=True) as response:
            if response.status_code == 200:
                self.labels = {option["key"]: option["label"] for option in response.json()["options"]}
                if len(self.labels) < 2:
                    response.failure("no ballot")
        return len(self.labels) > 1


class Arrivals(VotingUser):
    """MODEL=open: a source of votes that are sent when they are due, each by somebody new."""

    weight = 10
    wait_time = constant(0)
    concurrency = MOST_UNDER_WAY

    def on_start(self) -> None:
        super().on_start()
        self.under_way = Pool(MOST_UNDER_WAY)
        per_second = float(PEOPLE["votes_per_source"])
        # Sources that start together would otherwise send together.
        self.schedule = Schedule(per_second, time.perf_counter() + random.uniform(0, 1 / per_second))

    @task
    def arrive(self) -> None:
        """Send the next vote when it is due."""
        due = self.schedule.next_due()
        gevent.sleep(max(0.0, due - time.perf_counter()))
        self.under_way.spawn(self._vote, due)

    def _vote(self, due: float) -> None:
        accepted = self.cast_by_api(Browser(), random.choice("ab"))
        failure = None if accepted else ConnectionError("not accepted")
        report(self, OPEN_VOTE, time.perf_counter() - due, failure, kind="OPEN")

    def on_stop(self) -> None:
        self.under_way.join(timeout=STOP_SECONDS)
        self.under_way.kill()

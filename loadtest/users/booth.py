"""How every voter votes: what it sends is noted before, what it is told after; the answer is checked for meaning."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust import FastHttpUser
from locust.contrib.fasthttp import FastResponse

from loadtest.ledger import Outcome
from loadtest.noting import notebook

FORM_VOTE = "POST / (vote)"
API_VOTE = "POST /api/votes"
FORGED_VOTE = "abuse: forged cookie"  # somebody new's, as it must be

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ACCEPTED = {202, 303}
TOO_MANY = 429
ANSWER_SECONDS = 15.0
# What these say was surely not sent.
NEVER_SENT = (ConnectionRefusedError,)


@dataclass
class Browser:
    """A browser's cookies."""

    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def voter(self) -> str | None:
        """Who the vote service says it is; what stands after the dot is the signature."""
        cookie = self.cookies.get("voter_id")
        return cookie.partition(".")[0] if cookie else None

    def headers(self) -> dict[str, str]:
        pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": pairs} if pairs else {}

    def take(self, response: Any) -> str | None:
        """Keep the cookies of an answer; returns whom it took the browser for."""
        before = self.cookies.get("voter_id")
        self.cookies.update(set_cookies(response))
        return self.voter if self.cookies.get("voter_id") != before or before else None


class Booth(FastHttpUser):
    """A user that can vote. Its HTTP client follows no redirects and keeps no cookies: both are the browser's."""

    abstract = True
    connection_timeout = ANSWER_SECONDS
    network_timeout = ANSWER_SECONDS

    def on_start(self) -> None:
        client: Any = self.client.client
        client.redirect_response_codes = frozenset()
        client.cookiejar = None

    def cast_by_form(self, browser: Browser, option: str) -> bool:
        """Vote as the page's button does; returns whether the vote was accepted."""
        # a greenlet of its own: the answer is noted even if the user is stopped meanwhile
        return bool(gevent.spawn(self._cast_by_form, browser, option).get())

    def cast_by_api(self, browser: Browser, option: str, *, label: str | None = None) -> str | None:
        """Vote as a program does; returns when the vote was accepted, as the answer says, None if it was not."""
        cast_at: str | None = gevent.spawn(self._cast_by_api, browser, option, label).get()
        return cast_at

    def _cast_by_form(self, browser: Browser, option: str) -> bool:
        number = notebook.ledger.send(browser.voter, option)
        headers = FORM | browser.headers()
        with self.client.post(
            "/", data=f"vote={option}", headers=headers, name=FORM_VOTE, catch_response=True
        ) as response:
            wrong = "" if response.status_code != 303 else _wrong_redirect(browser, response)
            cast_at = (response.headers or {}).get("X-Cast-At")
            return note_answer(response, number, browser, cast_at=cast_at, wrong=wrong)

    def _cast_by_api(self, browser: Browser, option: str, label: str | None) -> str | None:
        number = notebook.ledger.send(browser.voter, option)
        body = json.dumps({"vote": option})
        headers = {"Content-Type": "application/json"} | browser.headers()
        with self.client.post("/api/votes", data=body, headers=headers, name=API_VOTE, catch_response=True) as response:
            cast_at, wrong = (None, "") if response.status_code != 202 else _read_receipt(response, option, label)
            accepted = note_answer(response, number, browser, cast_at=cast_at, wrong=wrong)
            return cast_at if accepted else None


def note_answer(response: Any, number: int, browser: Browser, *, cast_at: str | None, wrong: str) -> bool:
    """Note in the ledger and for Locust what became of a vote; returns whether it was accepted."""
    outcome, answer = judge(response)
    taken_for = browser.take(response) if outcome is Outcome.ACCEPTED else None
    notebook.ledger.answer(number, outcome, answer, voter=taken_for, cast_at=cast_at)
    if outcome is Outcome.ACCEPTED and not wrong:
        response.success()
    else:
        response.failure(wrong or f"{answer}: {outcome}")
    return outcome is Outcome.ACCEPTED


def judge(response: FastResponse) -> tuple[Outcome, str]:
    """What an answer, or the lack of one, says about a vote; the text is one of a few, because Locust keeps each."""
    status = response.status_code
    if status in ACCEPTED:
        return Outcome.ACCEPTED, str(status)
    if status == TOO_MANY:
        return Outcome.REFUSED, "429: set LIMIT_PER_ADDRESS=0 where vote runs"
    if status:
        return (Outcome.REFUSED if status < 500 else Outcome.IN_DOUBT), str(status)
    error = getattr(response, "error", None)
    return (Outcome.REFUSED if isinstance(error, NEVER_SENT) else Outcome.IN_DOUBT), type(error).__name__


def set_cookies(response: Any) -> dict[str, str]:
    """The cookies that an answer sets."""
    if not response.headers:
        return {}
    cookies = {}
    for header in response.headers.getlist("set-cookie"):
        name, _, rest = header.partition("=")
        cookies[name] = rest.partition(";")[0]
    return cookies


def _wrong_redirect(browser: Browser, response: Any) -> str:
    cookies = set_cookies(response)
    if response.headers.get("Location") != "/":
        return "303 leads elsewhere"
    if not {"ballot", "__Host-ballot"} & set(cookies):
        return "303 without the cookie ballot"
    if browser.voter and cookies.get("voter_id", "").partition(".")[0] != browser.voter:
        return "303 to another voter"
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

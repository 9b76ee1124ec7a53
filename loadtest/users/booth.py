"""How every voter votes: what it sends is noted before, what it is told after; the answer is checked for meaning."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust import FastHttpUser
from locust.contrib.fasthttp import FastResponse

from loadtest.noting import notebook
from proof.browser import Browser, cookies_of, voter_of
from proof.ledger import Outcome, outcome_of

FORM_VOTE = "POST / (vote)"
API_VOTE = "POST /api/votes"
FORGED_VOTE = "abuse: forged cookie"  # somebody new's, as it must be

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TOO_MANY = 429
ANSWER_SECONDS = 15.0
# What these say was surely not sent.
NEVER_SENT = (ConnectionRefusedError,)


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
        number = browser.next_number()
        line = notebook.ledger.send(browser.voter, option, number=number)
        headers = FORM | browser.headers()
        form = f"vote={option}" if number is None else f"vote={option}&number={number}"
        with self.client.post("/", data=form, headers=headers, name=FORM_VOTE, catch_response=True) as response:
            wrong = "" if response.status_code != 303 else _wrong_redirect(browser, response)
            cast_at = (response.headers or {}).get("X-Cast-At")
            return note_answer(response, line, browser, cast_at=cast_at, wrong=wrong)

    def _cast_by_api(self, browser: Browser, option: str, label: str | None) -> str | None:
        line = notebook.ledger.send(browser.voter, option)
        body = json.dumps({"vote": option})
        headers = {"Content-Type": "application/json"} | browser.headers()
        with self.client.post("/api/votes", data=body, headers=headers, name=API_VOTE, catch_response=True) as response:
            cast_at, wrong = (None, "") if response.status_code != 202 else _read_receipt(response, option, label)
            accepted = note_answer(response, line, browser, cast_at=cast_at, wrong=wrong)
            return cast_at if accepted else None


def note_answer(response: Any, line: int, browser: Browser, *, cast_at: str | None, wrong: str) -> bool:
    """Note in the ledger and for Locust what became of a vote; returns whether it was accepted."""
    outcome, answer = judge(response)
    taken_for = browser.take(set_cookies(response))
    notebook.ledger.answer(line, outcome, answer, voter=taken_for, cast_at=cast_at)
    if outcome is Outcome.ACCEPTED and not wrong:
        response.success()
    else:
        response.failure(wrong or f"{answer}: {outcome}")
    return outcome is Outcome.ACCEPTED


def judge(response: FastResponse) -> tuple[Outcome, str]:
    """What an answer, or the lack of one, says about a vote; the text is one of a few, because Locust keeps each."""
    status = response.status_code
    if status:
        hint = ": set LIMIT_PER_ADDRESS=0 where vote runs" if status == TOO_MANY else ""
        return outcome_of(status), f"{status}{hint}"
    error = getattr(response, "error", None)
    return (Outcome.REFUSED if isinstance(error, NEVER_SENT) else Outcome.IN_DOUBT), type(error).__name__


def set_cookies(response: Any) -> Sequence[str]:
    """The cookies that an answer sets."""
    return response.headers.getlist("set-cookie") if response.headers else ()


def _wrong_redirect(browser: Browser, response: Any) -> str:
    cookies = cookies_of(set_cookies(response))
    if response.headers.get("Location") != "/":
        return "303 leads elsewhere"
    if not cookies.keys() & {"ballot", "__Host-ballot"}:
        return "303 without the cookie ballot"
    if browser.voter and voter_of(cookies) != browser.voter:
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

"""The path of every vote: `GET /`, `POST /` and `POST /api/votes`, answered straight from ASGI.

Quart's requests and responses take more time than everything else that is done with a vote (docs/performance.md). These
three requests are answered here, refusals included; Quart documents them (`vote/app.py`) and answers everything else.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import structlog
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
from werkzeug.utils import redirect

from common import traces
from common.health import note_request
from common.origin import host_of, is_cross_origin
from common.web import BODY_SECONDS, HEADERS, HSTS, MAX_BODY_BYTES, Refused, as_refused, rfc3339
from vote.body import FORM, JSON, ReadBody, Submission, read_form, read_json
from vote.casting import Outcome, PollingStation, Receipt, Sender
from vote.page import BallotPages
from vote.voter import Voter, VoterCookies, new_voter

Fields = list[tuple[bytes, bytes]]

HTML = (b"content-type", b"text/html; charset=utf-8")
IN_JSON = (b"content-type", b"application/json")
SEE_OTHER = redirect("/", 303).get_data()
FOREIGN = (403, "foreign_origin", "Votes are only accepted from our own page.", "Open the ballot and vote there.")
TOO_LARGE = (413, "too_large", f"A request has at most {MAX_BODY_BYTES} bytes.")
TOO_SLOW = (408, "request_timeout", f"The request was not complete after {BODY_SECONDS} seconds.")

log = structlog.get_logger()


class ClientGone(Exception):
    """The client has disconnected."""


@dataclass(slots=True)
class Exchange:
    """A request, and the way to answer it."""

    scope: HTTPScope
    receive: ASGIReceiveCallable
    send: ASGISendCallable
    is_gone: bool = False

    def header(self, name: bytes) -> str:
        """The value of the first such header, "" if there is none."""
        return next((value.decode("latin1") for each, value in self.scope["headers"] if each == name), "")

    @property
    def cookies(self) -> str:
        """All the cookies that the client sent."""
        return "; ".join(value.decode("latin1") for name, value in self.scope["headers"] if name == b"cookie")

    @property
    def address(self) -> str | None:
        """The client's address, as connected or as a trusted proxy says; None if unknown."""
        client = self.scope.get("client")
        return client[0] if client else None

    @property
    def is_secure(self) -> bool:
        """Whether it came over TLS, to us or to a trusted proxy."""
        return self.scope["scheme"] == "https"

    @property
    def host(self) -> str:
        """The host it was sent to."""
        return host_of(self.scope["headers"])

    def is_there(self) -> bool:
        """Whether the client's connection is still open, as far as known, without waiting."""
        step: Any = self.receive()
        try:
            step.send(None)
        except StopIteration as received:
            self.is_gone = self.is_gone or received.value["type"] == "http.disconnect"
        else:
            step.close()  # nothing has arrived
        return not self.is_gone

    async def read_body(self) -> bytes:
        """The whole body; raises ClientGone, and Refused if it is too long or too slow."""
        if int(self.header(b"content-length") or 0) > MAX_BODY_BYTES:
            raise Refused(*TOO_LARGE)
        body = b""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await self.receive()
                    if message["type"] != "http.request":
                        raise ClientGone
                    body += message.get("body", b"")
                    if len(body) > MAX_BODY_BYTES:
                        raise Refused(*TOO_LARGE)
                    if not message.get("more_body", False):
                        return body
        except TimeoutError:
            raise Refused(*TOO_SLOW) from None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where votes are posted, in which format, and how they are answered."""

    path: str
    content_type: str
    read: ReadBody
    accepted: Callable[[Receipt], tuple[int, Fields, bytes]]


def _accepted_form(receipt: Receipt) -> tuple[int, Fields, bytes]:
    # identifies the accepted vote, for whoever wants to look for it later
    cast_at = rfc3339(receipt.cast_at).encode()
    return 303, [HTML, (b"location", b"/"), (b"x-cast-at", cast_at)], SEE_OTHER


def _accepted_json(receipt: Receipt) -> tuple[int, Fields, bytes]:
    body = {"vote": receipt.option, "label": receipt.label, "cast_at": rfc3339(receipt.cast_at)}
    return 202, [IN_JSON], _json(body)


BY_FORM = Endpoint("/", FORM, read_form, _accepted_form)
BY_JSON = Endpoint("/api/votes", JSON, read_json, _accepted_json)


class VoteRoutes:
    """An application with the three routes in front of it."""

    def __init__(self, app: ASGIFramework, station: PollingStation, cookies: VoterCookies, pages: BallotPages) -> None:
        self._app = app
        self._station = station
        self._cookies = cookies
        self._pages = pages
        self._fixed = {"http": _encoded(HEADERS), "https": _encoded(HEADERS | HSTS)}
        self._routes: dict[tuple[str, str], Callable[[Exchange], Awaitable[int]]] = {
            ("GET", "/"): self.show_ballot,
            ("HEAD", "/"): self.show_ballot,
            ("POST", BY_FORM.path): partial(self.take_vote, BY_FORM),
            ("POST", BY_JSON.path): partial(self.take_vote, BY_JSON),
        }

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        assert scope["type"] == "http"
        started = perf_counter()
        try:
            status = await route(Exchange(scope, receive, send))
        except ClientGone:
            return
        note_request(scope["method"], scope["path"], status, perf_counter() - started)

    async def show_ballot(self, exchange: Exchange) -> int:
        """Answer with the ballot page."""
        try:
            voter = _with_ballot(self._voter(exchange))
            page = await self._pages.page(voter, exchange.scope["scheme"], exchange.host)
        except Exception as error:
            return await self._refuse(exchange, BY_FORM, Outcome(None, refusal=_as_refusal(error, exchange)))
        return await self._answer(exchange, voter, 200, [HTML], page)

    async def take_vote(self, endpoint: Endpoint, exchange: Exchange) -> int:
        """Take a vote, and answer with its outcome."""
        with _traced(endpoint) as trace:
            outcome = await self._outcome(endpoint, exchange)
            if outcome.receipt is not None:
                trace.status = await self._answer(exchange, outcome.voter, *endpoint.accepted(outcome.receipt))
            else:
                trace.status = await self._refuse(exchange, endpoint, outcome)
        return trace.status

    async def _outcome(self, endpoint: Endpoint, exchange: Exchange) -> Outcome:
        async def read() -> Submission:
            if is_cross_origin(exchange.scope):
                raise Refused(*FOREIGN)
            if exchange.header(b"content-type").partition(";")[0].strip().lower() != endpoint.content_type:
                raise Refused(415, "unsupported_type", f"The content type must be {endpoint.content_type}.")
            return endpoint.read(await exchange.read_body())

        voter = None
        try:
            voter = self._voter(exchange)
            return await self._station.take_vote(voter, Sender(exchange.address, exchange.is_there), read)
        except ClientGone:
            raise
        except Exception as error:
            return Outcome(voter, refusal=_as_refusal(error, exchange))

    def _voter(self, exchange: Exchange) -> Voter:
        return self._cookies.read(exchange.cookies, secure=exchange.is_secure) or new_voter()

    async def _refuse(self, exchange: Exchange, endpoint: Endpoint, outcome: Outcome) -> int:
        refusal = outcome.refusal
        assert refusal is not None
        more = [(name.lower().encode(), value.encode()) for name, value in refusal.headers.items()]
        if endpoint is BY_JSON:
            message = f"{refusal.message} {refusal.advice}".strip()
            body = _json({"error": {"code": refusal.code, "message": message}})
            return await self._answer(exchange, outcome.voter, refusal.status, [IN_JSON, *more], body)
        shown = _with_ballot(outcome.voter or new_voter())
        page = await self._pages.refusal(shown, exchange.scope["scheme"], exchange.host, refusal, outcome.code)
        voter = shown if outcome.voter else None
        return await self._answer(exchange, voter, refusal.status, [HTML, *more], page)

    async def _answer(self, exchange: Exchange, voter: Voter | None, status: int, fields: Fields, body: bytes) -> int:
        # even if the vote was refused or is in doubt: when the browser votes again, it must be the same voter
        cookies = self._cookies.headers(voter, secure=exchange.is_secure) if voter else ()
        headers = [
            *fields,
            *self._fixed[exchange.scope["scheme"]],
            *((b"set-cookie", cookie.encode()) for cookie in cookies),
            (b"content-length", b"%d" % len(body)),
        ]
        await exchange.send({"type": "http.response.start", "status": status, "headers": headers})
        await exchange.send({"type": "http.response.body", "body": body, "more_body": False})
        return status


@dataclass(slots=True)
class _Trace:
    status: int = 0


@contextmanager
def _traced(endpoint: Endpoint) -> Iterator[_Trace]:
    """The trace of a vote, if votes are traced. It begins here, ignoring any `traceparent` of the client.

    Otherwise clients, not we, would decide which votes are traced.
    """
    trace = _Trace()
    span = traces.begin(f"POST {endpoint.path}", of="vote")
    if span is None:
        yield trace
        return
    traces.enter_request(span)
    try:
        yield trace
    finally:
        facts: dict[str, str | int] = {"http.request.method": "POST", "http.response.status_code": trace.status}
        failed = not 0 < trace.status < 500
        traces.end(span, RuntimeError(str(trace.status or "the client has gone")) if failed else None, facts)


def _with_ballot(voter: Voter) -> Voter:
    """The voter with a new ballot: every page carries a number that no earlier page had."""
    return voter.with_ballot(voter.next_number or 1)


def _as_refusal(error: Exception, exchange: Exchange) -> Refused:
    """The error as a refusal; an unexpected one is logged, and reveals nothing internal."""
    if not isinstance(error, Refused):
        log.error("request_failed", route=exchange.scope["path"], exc_info=error)
    return as_refused(error)


def _json(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode() + b"\n"


def _encoded(headers: dict[str, str]) -> Fields:
    every = {**headers, "Cache-Control": "no-store"}
    return [(name.lower().encode(), value.encode()) for name, value in every.items()]

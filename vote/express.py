"""The express lane: plain votes and the ballot page, answered without Quart's requests and responses.

These take more time than everything that is done with a vote (docs/performance.md). The lane says yes, and nothing
else: what is out of the ordinary, and what is refused, is answered by the application behind it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
from quart import Quart

from common import traces
from common.ops import note_request
from vote.answers import HTML, WAYS, CommonFields, Fields, Way
from vote.casting import PollingStation
from vote.door import Door
from vote.handover import Handover, hand_over
from vote.page import BallotPages
from vote.plain import Headers, cookies_of, is_plain_vote, plain_headers, read_all
from vote.voter import Voter

Route = Callable[["_Exchange"], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class _Exchange:
    """A request, and the way to answer it."""

    scope: HTTPScope
    headers: Headers
    receive: ASGIReceiveCallable
    send: ASGISendCallable


class ExpressLane:
    """An application with the lane in front of it."""

    def __init__(self, app: ASGIFramework, station: PollingStation, door: Door, pages: BallotPages) -> None:
        self._app = app
        self._station = station
        self._door = door
        self._pages = pages
        self._fields = CommonFields(station.cookies)
        self._routes: dict[tuple[str, str], Route] = {("GET", "/"): self._show}
        self._routes |= {("POST", way.path): self._taking(way) for way in WAYS}

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "http" and not scope["query_string"]:
            route = self._routes.get((scope["method"], scope["path"]))
            headers = plain_headers(scope) if route else None
            if route and headers is not None and await route(_Exchange(scope, headers, receive, send)):
                return
        await self._app(scope, receive, send)

    async def _show(self, exchange: _Exchange) -> bool:
        """Answer with the ballot page, if it is known; False leaves the answer to the application."""
        started = perf_counter()
        voter = self._station.voter(cookies_of(exchange.headers))
        page = self._pages.known(voter, exchange.scope["scheme"], exchange.headers.get(b"host", b"").decode("latin1"))
        if page is None:
            return False
        await self._answer(exchange, 200, voter, [HTML], page)
        note_request("GET", "/", 200, perf_counter() - started)
        return True

    def _taking(self, way: Way) -> Route:
        async def take(exchange: _Exchange) -> bool:
            started = perf_counter()
            scope = exchange.scope
            if not is_plain_vote(way.content_type, scope, exchange.headers):
                return False
            voter = self._station.voter(cookies_of(exchange.headers))
            try:
                self._door.count_address(client[0] if (client := scope.get("client")) else None)
                body = await read_all(exchange.receive)
                if body is None:
                    return True
                option = way.read(body).option
                self._door.count_voter(voter)
                receipt = await self._station.cast(voter, option)
            except Exception as error:  # the vote is counted at the door: if begun anew, it would be counted twice
                hand_over(scope, Handover(voter, error))
                return False
            await self._answer(exchange, way.status, receipt.voter, *way.answer(receipt))
            note_request("POST", way.path, way.status, perf_counter() - started)
            return True

        return take

    async def _answer(self, exchange: _Exchange, status: int, voter: Voter, fields: Fields, body: bytes) -> None:
        headers = fields + self._fields.of(voter, exchange.scope["scheme"], len(body))
        await exchange.send({"type": "http.response.start", "status": status, "headers": headers})
        await exchange.send({"type": "http.response.body", "body": body, "more_body": False})


def add_express_lane(app: Quart, station: PollingStation, door: Door, pages: BallotPages) -> None:
    """Put it in front of the application, except where codes are asked for or votes are traced."""
    if not door.asks_code and not traces.is_on():
        app.asgi_app = ExpressLane(app.asgi_app, station, door, pages)  # type: ignore[method-assign]

"""The vote service as an application: what it is made of, and its API as documented.

The path of a vote is in `vote/routes.py`, in front of Quart.
"""

from collections.abc import Awaitable, Callable

from pydantic import BaseModel, Field
from quart import Quart, jsonify
from quart.typing import ResponseReturnValue
from quart_schema import DataSource, document_request, document_response, hide

from common.ballot import Ballot
from common.broken_edits import show_broken_edits
from common.health import Health
from common.settings import Settings
from common.web import TEMPLATES, ErrorBody, believe_proxies, create_website
from vote.admission import Admission
from vote.casting import PollingStation, Pusher
from vote.page import BallotPages
from vote.routes import VoteRoutes
from vote.voter import HIGHEST_NUMBER, Poll, VoterCookies

DESCRIPTION = "Takes votes. A voter's last vote counts; a voter is whoever sends back the cookies."

Route = Callable[[], Awaitable[ResponseReturnValue]]


def create_app(
    settings: Settings,
    pusher: Pusher,
    health: Health,
    is_delayed: Callable[[], bool] = lambda: False,
    *,
    admission: Admission | None = None,
    poll: Poll | None = None,
) -> Quart:
    """The application, from its settings, an open way to the queue, and whether counting is known to be delayed.

    `admission` must be given where codes are required, because it needs the voter roll.
    """
    app = create_website("vote", description=DESCRIPTION, health=health)
    show_broken_edits(app, settings)
    ballot = settings.ballot
    station = PollingStation(ballot, admission or Admission(settings), pusher)
    cookies = VoterCookies(settings.secret_key, (poll or Poll(ballot)).name)
    pages = BallotPages(app.extensions[TEMPLATES], ballot, settings, is_delayed)
    _add_api(app, ballot)
    app.asgi_app = VoteRoutes(app.asgi_app, station, cookies, pages)  # type: ignore[method-assign]
    believe_proxies(app, settings)
    return app


class VoteBody(BaseModel):
    vote: str = Field(description="an option's key", examples=["a"])
    code: str = Field("", description="the voter's code, in polls that require one; otherwise ignored")

    number: int | None = Field(
        None,
        ge=1,
        le=HIGHEST_NUMBER,
        description="the vote's position in its voter's own order: of two votes, the higher number counts",
    )


class ReceiptBody(BaseModel):
    vote: str
    label: str
    cast_at: str = Field(description="when the vote was accepted, RFC 3339 in UTC")


class OptionBody(BaseModel):
    key: str
    label: str


class BallotBody(BaseModel):
    question: str
    options: list[OptionBody]


def _add_api(app: Quart, ballot: Ballot) -> None:
    """Add `GET /api/ballot`, and describe what `vote/routes.py` answers."""
    options = [{"key": option.key, "label": option.label} for option in ballot.options]
    body = {"question": ballot.question, "options": options}

    @app.get("/api/ballot")
    @document_response(BallotBody)
    async def show_ballot() -> ResponseReturnValue:
        """The question and its options"""
        return jsonify(body)

    # Quart never sees requests for the routes below. It only knows their methods, and documents the one for programs.

    @app.post("/api/votes")
    @document_request(VoteBody, source=DataSource.JSON)
    @document_response(ReceiptBody, 202)
    @_document_refusals
    async def cast_vote() -> ResponseReturnValue:
        """Cast a vote

        202 means that the vote is accepted and will be counted. 503 means that this is not certain: vote again, which
        is safe, because a voter's last vote counts. Send back the cookies to change the vote. A client that votes again
        without waiting for an answer should number its votes. Where a code is required, the same code is the same
        voter.
        """
        raise NotImplementedError

    @app.route("/", methods=["GET", "POST"])
    @hide
    async def ballot_page() -> ResponseReturnValue:
        raise NotImplementedError


def _document_refusals(route: Route) -> Route:
    for status in (400, 403, 408, 413, 415, 429, 503):
        route = document_response(ErrorBody, status)(route)
    return route

"""The vote API as its documentation describes it, and the ballot for programs."""

from collections.abc import Awaitable, Callable

from quart import Quart, jsonify
from quart.typing import ResponseReturnValue
from quart_schema import DataSource, document_request, document_response, hide

from common.ballot import Ballot
from common.web import ErrorBody
from vote.schema import BallotBody, ReceiptBody, VoteBody

Route = Callable[[], Awaitable[ResponseReturnValue]]


def add_api(app: Quart, ballot: Ballot) -> None:
    """Add `GET /api/ballot`, and describe what `vote/routes.py` answers."""
    options = [{"key": option.key, "label": option.label} for option in ballot.options]
    told = {"question": ballot.question, "options": options}

    @app.get("/api/ballot")
    @document_response(BallotBody)
    async def show_ballot() -> ResponseReturnValue:
        """The question and its options"""
        return jsonify(told)

    # Quart never sees a request for the following: it knows their methods, and describes the one for programs

    @app.post("/api/votes")
    @document_request(VoteBody, source=DataSource.JSON)
    @document_response(ReceiptBody, 202)
    @_document_refusals
    async def cast_vote() -> ResponseReturnValue:
        """Cast a vote

        The answer 202 means that the vote is accepted and will be counted. 503 means that it is not known to be: vote
        again, which is safe, because the last vote of a voter counts. Send back the cookies to change the vote. Who
        does not wait for an answer before it votes again should number its votes. Where a code is asked for, the same
        code is the same voter.
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

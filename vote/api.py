"""The vote API, for programs."""

from collections.abc import Awaitable, Callable

from quart import Quart, g, jsonify, request
from quart.typing import ResponseReturnValue
from quart_schema import DataSource, document_request, document_response

from common.web import ErrorBody, rfc3339
from vote.body import JSON, paper_of_json, read_body
from vote.casting import PollingStation
from vote.door import Door
from vote.schema import BallotBody, ReceiptBody, VoteBody

Route = Callable[[], Awaitable[ResponseReturnValue]]


def add_api(app: Quart, station: PollingStation, door: Door) -> None:
    """Add `POST /api/votes` and `GET /api/ballot`."""
    ballot = {
        "question": station.ballot.question,
        "options": [{"key": option.key, "label": option.label} for option in station.ballot.options],
    }

    @app.post("/api/votes")
    @document_request(VoteBody, source=DataSource.JSON)
    @document_response(ReceiptBody, 202)
    @_document_refusals
    async def cast_vote() -> ResponseReturnValue:
        """Cast a vote

        The answer 202 means that the vote is accepted and will be counted. 503 means that it is not known to be: vote
        again, which is safe, because the last vote of a voter counts. Send back the cookie to change the vote. Where a
        code is asked for, the same code is the same voter.
        """
        g.voter = station.voter(request.cookies)
        door.count(g.voter, request.remote_addr)
        paper = paper_of_json(await read_body(request, JSON))
        g.voter = await door.admit(g.voter, paper.code)
        receipt = await station.cast(g.voter, paper.option)
        g.voter = receipt.voter
        return jsonify(vote=receipt.option, label=receipt.label, cast_at=rfc3339(receipt.cast_at)), 202

    @app.get("/api/ballot")
    @document_response(BallotBody)
    async def show_ballot() -> ResponseReturnValue:
        """The question and its options"""
        return jsonify(ballot)


def _document_refusals(route: Route) -> Route:
    for status in (400, 403, 413, 415, 429, 503):
        route = document_response(ErrorBody, status)(route)
    return route

"""The vote API, for programs."""

from collections.abc import Awaitable, Callable

from quart import Quart, g, jsonify, request
from quart.typing import ResponseReturnValue
from quart_schema import DataSource, document_request, document_response

from common.ballot import Ballot
from common.web import ErrorBody, rfc3339
from vote.body import JSON, paper_of_json, read_body
from vote.casting import PollingStation
from vote.door import Door
from vote.handover import handed_over
from vote.schema import BallotBody, ReceiptBody, VoteBody

Route = Callable[[], Awaitable[ResponseReturnValue]]


def add_api(app: Quart, station: PollingStation, door: Door) -> None:
    """Add `POST /api/votes` and `GET /api/ballot`."""
    ballot = _told(station.ballot)

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
        handed = handed_over(request.scope)
        g.voter = handed.voter if handed else station.voter(request.cookies)
        if handed:
            raise handed.error
        door.count_address(request.remote_addr)
        paper = paper_of_json(await read_body(request, JSON))
        g.voter = await door.admit(g.voter, paper.code, address=request.remote_addr)
        receipt = await station.cast(g.voter, paper.option)
        g.voter = receipt.voter
        return jsonify(vote=receipt.option, label=receipt.label, cast_at=rfc3339(receipt.cast_at)), 202

    @app.get("/api/ballot")
    @document_response(BallotBody)
    async def show_ballot() -> ResponseReturnValue:
        """The question and its options"""
        return jsonify(ballot)


def _told(ballot: Ballot) -> dict[str, object]:
    options = [{"key": option.key, "label": option.label} for option in ballot.options]
    return {"question": ballot.question, "options": options}


def _document_refusals(route: Route) -> Route:
    for status in (400, 403, 413, 415, 429, 503):
        route = document_response(ErrorBody, status)(route)
    return route

"""The ballot page: works without JavaScript."""

from quart import Quart, make_response, redirect, render_template, request, url_for
from quart import Response as QuartResponse
from quart.typing import ResponseReturnValue
from quart_schema import hide
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from common.settings import Settings
from common.web import INSTANCE, Refused, as_refused, beside
from vote.body import FORM, option_of_form, read_body
from vote.casting import PollingStation
from vote.voter import Voter, new_voter


def add_page(app: Quart, station: PollingStation, settings: Settings) -> None:
    """Add `GET /` and `POST /`."""

    @app.get("/")
    @hide
    async def ballot_page() -> ResponseReturnValue:
        # a voter is known from the first look on: two votes at once are then two of one voter
        voter = station.cookies.read(request.cookies) or new_voter()
        response = await make_response(await _render(station, voter, settings))
        return _remember(response, station, voter)

    @app.post("/")
    @hide
    async def cast_by_form() -> ResponseReturnValue:
        try:
            option = option_of_form(await read_body(request, FORM))
            receipt = await station.cast(request.cookies, option)
        except (Refused, HTTPException) as error:
            refused = as_refused(error)
            voter = station.cookies.read(request.cookies) or new_voter()
            response = await make_response(await _render(station, voter, settings, refused), refused.status)
            response.headers.update(refused.headers)
            return _remember(response, station, voter)
        answer = redirect(url_for("ballot_page"), 303)
        # which vote was accepted, for those who want to look for it later
        answer.headers["X-Cast-At"] = receipt.cast_at.isoformat().replace("+00:00", "Z")
        return _remember(answer, station, receipt.voter)


async def _render(station: PollingStation, voter: Voter, settings: Settings, problem: Refused | None = None) -> str:
    return await render_template(
        "ballot.html",
        question=station.ballot.question,
        options=station.ballot.options,
        choice=voter.choice,
        choice_label=station.ballot.label(voter.choice) if voter.choice else None,
        problem=problem,
        instance=INSTANCE,
        results_url=settings.result_url or beside(request.scheme, request.host, settings.result_port),
    )


def _remember(response: Response | QuartResponse, station: PollingStation, voter: Voter) -> ResponseReturnValue:
    station.cookies.set(response, voter, secure=request.is_secure)
    response.headers["Cache-Control"] = "no-store"
    return response

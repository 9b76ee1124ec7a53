"""The ballot page: works without JavaScript."""

from quart import Quart, g, redirect, render_template, request, url_for
from quart.typing import ResponseReturnValue
from quart_schema import hide
from werkzeug.exceptions import HTTPException

from common.settings import Settings
from common.web import INSTANCE, Refused, as_refused, beside, rfc3339
from vote.body import FORM, option_of_form, read_body
from vote.casting import PollingStation
from vote.voter import Voter


def add_page(app: Quart, station: PollingStation, settings: Settings) -> None:
    """Add `GET /` and `POST /`."""

    @app.get("/")
    @hide
    async def ballot_page() -> ResponseReturnValue:
        # a voter is known from the first look on: two votes at once are then two of one voter
        g.voter = station.voter(request.cookies)
        return await _render(station, g.voter, settings)

    @app.post("/")
    @hide
    async def cast_by_form() -> ResponseReturnValue:
        g.voter = station.voter(request.cookies)
        try:
            receipt = await station.cast(g.voter, option_of_form(await read_body(request, FORM)))
        except (Refused, HTTPException) as error:
            refused = as_refused(error)
            return await _render(station, g.voter, settings, refused), refused.status, refused.headers
        g.voter = receipt.voter
        answer = redirect(url_for("ballot_page"), 303)
        # which vote was accepted, for those who want to look for it later
        answer.headers["X-Cast-At"] = rfc3339(receipt.cast_at)
        return answer


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

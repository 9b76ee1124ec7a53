"""The ballot page: works without JavaScript."""

from collections.abc import Awaitable, Callable

from quart import Quart, g, redirect, render_template, request, url_for
from quart.typing import ResponseReturnValue
from quart_schema import hide
from werkzeug.exceptions import HTTPException

from common.settings import Settings
from common.web import INSTANCE, Refused, as_refused, beside, rfc3339
from vote.body import FORM, Paper, paper_of_form, read_body
from vote.casting import PollingStation
from vote.door import Door
from vote.voter import Voter


def add_page(
    app: Quart, station: PollingStation, door: Door, settings: Settings, is_delayed: Callable[[], bool]
) -> None:
    """Add `GET /` and `POST /`."""
    render = _renderer(station, door, settings)

    @app.get("/")
    @hide
    async def ballot_page() -> ResponseReturnValue:
        # a voter is known from the first look on: two votes at once are then two of one voter
        g.voter = station.voter(request.cookies)
        return await render(g.voter, delayed=g.voter.choice is not None and is_delayed())

    @app.post("/")
    @hide
    async def cast_by_form() -> ResponseReturnValue:
        g.voter = station.voter(request.cookies)
        paper = Paper("", "")
        try:
            door.count(g.voter, request.remote_addr)
            paper = paper_of_form(await read_body(request, FORM))
            g.voter = await door.admit(g.voter, paper.code)
            receipt = await station.cast(g.voter, paper.option)
        except (Refused, HTTPException) as error:
            refused = as_refused(error)
            return await render(g.voter, refused, code=paper.code), refused.status, refused.headers
        g.voter = receipt.voter
        answer = redirect(url_for("ballot_page"), 303)
        # which vote was accepted, for those who want to look for it later
        answer.headers["X-Cast-At"] = rfc3339(receipt.cast_at)
        return answer


def _renderer(station: PollingStation, door: Door, settings: Settings) -> Callable[..., Awaitable[str]]:
    async def render(voter: Voter, problem: Refused | None = None, *, delayed: bool = False, code: str = "") -> str:
        return await render_template(
            "ballot.html",
            question=station.ballot.question,
            options=station.ballot.options,
            choice=voter.choice,
            choice_label=station.ballot.label(voter.choice) if voter.choice else None,
            problem=problem,
            delayed=delayed,
            asks_code=door.asks_code,
            code=code,
            instance=INSTANCE,
            results_url=settings.result_url or beside(request.scheme, request.host, settings.result_port),
        )

    return render

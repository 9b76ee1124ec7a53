"""The result service as an application."""

import csv
import io
from datetime import UTC, datetime
from typing import Any

from quart import Quart, Response, jsonify, render_template, request
from quart.typing import ResponseReturnValue
from quart_schema import document_response, hide

from common.broken_edits import show_broken_edits
from common.health import Health
from common.origin import host_of, sibling_url
from common.settings import Settings
from common.web import INSTANCE, ErrorBody, Refused, believe_proxies, create_website, rfc3339
from result.board import Board, NotReadYet
from result.live import add_live
from result.pipeline import Pipeline, Sources
from result.schema import PipelineBody, TallyBody, TallyTable

FORMULA_SIGNS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four are full-width forms of the first four

DESCRIPTION = "Shows the tally: as a page, as JSON and CSV, and live on the WebSocket `/ws`."


def create_app(settings: Settings, board: Board, health: Health, sources: Sources | None = None) -> Quart:
    """The application, from its settings, a board that is kept fresh, and the sources of the pipeline page."""
    app = create_website("result", description=DESCRIPTION, health=health)
    show_broken_edits(app, settings)
    _add_page(app, board, settings)
    _add_api(app, board)
    add_live(app, board.viewers)
    _add_pipeline(app, Pipeline(sources or Sources()))
    believe_proxies(app, settings)
    return app


def _add_page(app: Quart, board: Board, settings: Settings) -> None:
    @app.get("/")
    @hide
    async def dashboard() -> ResponseReturnValue:
        try:
            snapshot, stale_since = board.snapshot(), board.stale_since()
        except NotReadYet:
            snapshot, stale_since = None, None
        host = host_of(request.scope["headers"])
        page = await render_template(
            "dashboard.html",
            question=settings.ballot.question,
            snapshot=snapshot,
            stale_since=stale_since,
            server_now=rfc3339(datetime.now(UTC)),
            ballot_url=settings.vote_url or sibling_url(request.scheme, host, settings.vote_port),
            instance=INSTANCE,
        )
        return page, {"Cache-Control": "no-store"}


def _add_api(app: Quart, board: Board) -> None:
    def known() -> dict[str, Any]:
        try:
            return board.snapshot()
        except NotReadYet:
            raise Refused(503, "not_read_yet", "The tally can't be read yet.", "Please try again.") from None

    @app.get("/api/tally")
    @document_response(TallyBody)
    @document_response(ErrorBody, 503)
    async def show_tally() -> ResponseReturnValue:
        """The tally as it was last read

        `read_at` tells when that was, `as_of` when the newest counted vote was cast.
        """
        response: Response = jsonify(known())
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.get("/api/tally.csv")
    @document_response(TallyTable)
    @document_response(ErrorBody, 503)
    async def show_tally_as_csv() -> ResponseReturnValue:
        """The tally as CSV

        A key or label that a spreadsheet would take for a formula (beginning with `=`, `+`, `-`, `@`, a tab or a line
        break) is prefixed with an apostrophe.
        """
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, ["key", "label", "votes", "percent"])
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in option.items()} for option in known()["options"])
        return table.getvalue(), {"Content-Type": "text/csv; charset=utf-8", "Cache-Control": "no-store"}


def _add_pipeline(app: Quart, pipeline: Pipeline) -> None:
    @app.get("/pipeline")
    @hide
    async def pipeline_page() -> ResponseReturnValue:
        report = await pipeline.report()
        page = await render_template("pipeline.html", report=report, history=list(pipeline.history), instance=INSTANCE)
        return page, {"Cache-Control": "no-store"}

    @app.get("/api/pipeline")
    @document_response(PipelineBody)
    async def show_pipeline() -> ResponseReturnValue:
        """How votes get from the voters to the tally

        The pipeline is inspected at most once a second, however many clients ask. What can't be known is null; `redis`
        and `database` say why.
        """
        response: Response = jsonify(await pipeline.report())
        response.headers["Cache-Control"] = "no-store"
        return response


def _cell(value: Any) -> Any:
    """A text that no spreadsheet evaluates; numbers are ours, and stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_SIGNS) else value

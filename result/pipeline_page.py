"""The pipeline page, for those who run a poll: `/pipeline`, and the same as JSON."""

from quart import Quart, Response, jsonify, render_template
from quart.typing import ResponseReturnValue
from quart_schema import document_response, hide

from common.web import INSTANCE
from result.pipeline import Pipeline
from result.schema import PipelineBody

NOT_KEPT = {"Cache-Control": "no-store"}


def add_pipeline(app: Quart, pipeline: Pipeline) -> None:
    """Add `GET /pipeline` and `GET /api/pipeline`."""

    @app.get("/pipeline")
    @hide
    async def pipeline_page() -> ResponseReturnValue:
        report = await pipeline.report()
        page = await render_template("pipeline.html", report=report, history=list(pipeline.history), instance=INSTANCE)
        return page, NOT_KEPT

    @app.get("/api/pipeline")
    @document_response(PipelineBody)
    async def show_pipeline() -> ResponseReturnValue:
        """How votes get from the voters to the tally

        Asked again and again, it looks at most once a second, however many ask. What can't be known is null, and
        `redis` and `database` say why.
        """
        response: Response = jsonify(await pipeline.report())
        response.headers.update(NOT_KEPT)
        return response

"""The trace of a vote begins with its request. What a client says of its own traces is not taken over.

Otherwise anybody could have every vote of theirs traced, whatever we had decided.
"""

from quart import Quart, Response, g, request

from common import traces


def trace_votes(app: Quart) -> None:
    """Trace requests that change something; where traces are off, nothing is added."""
    if not traces.is_on():
        return

    @app.before_request
    async def begin() -> None:
        if request.method == "POST" and request.url_rule is not None:
            g.span = traces.begin(f"POST {request.url_rule.rule}", of="vote")
            traces.enter_request(g.span)

    @app.after_request
    async def end(response: Response) -> Response:
        if span := g.get("span"):
            status = response.status_code
            facts: dict[str, str | int] = {"http.request.method": "POST", "http.response.status_code": status}
            traces.end(span, RuntimeError(str(status)) if status >= 500 else None, facts)
        return response

"""Errors: one format for programs, one page for people, no internals for anybody."""

import errno
from http import HTTPStatus

import structlog
from pydantic import BaseModel, Field
from quart import Quart, has_websocket_context, jsonify, render_template, request, websocket
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

MAX_BODY_BYTES = 4096

log = structlog.get_logger()


class ErrorDetail(BaseModel):
    code: str = Field(description="for programs; stable")
    message: str = Field(description="for people")


class ErrorBody(BaseModel):
    """Every error in JSON has this shape."""

    error: ErrorDetail


class Refused(Exception):
    """A request that is refused, and what its sender is told."""

    def __init__(self, status: int, code: str, message: str, advice: str = "", *, retry_after: int = 2) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.advice = advice
        self._retry_after = retry_after  # seconds

    @property
    def headers(self) -> dict[str, str]:
        """503 and 429 say when to retry."""
        later = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)
        return {"Retry-After": str(self._retry_after)} if self.status in later else {}


def as_refused(error: Exception) -> Refused:
    """Any error as a refusal; an unexpected one reveals nothing internal."""
    match error:
        case Refused():
            return error
        case OSError(errno=errno.ENAMETOOLONG):  # a file name in a URL
            return Refused(404, "not_found", "There is no such file.")
        case HTTPException(code=413):
            return Refused(413, "too_large", f"A request has at most {MAX_BODY_BYTES} bytes.")
        case HTTPException(code=int(status)):
            phrase = HTTPStatus(status).phrase
            return Refused(status, phrase.lower().replace(" ", "_").replace("-", "_"), error.description or phrase)
        case _:
            return Refused(500, "internal_error", "Something went wrong here.", "Please try again.")


def answer_errors(app: Quart) -> None:
    """Answer every error of this application, including unexpected ones."""

    async def answer(error: Exception) -> ResponseReturnValue:
        refused = as_refused(error)
        if refused.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            route = (websocket if has_websocket_context() else request).url_rule
            log.error("request_failed", route=str(route), exc_info=error)
        if has_websocket_context():  # before it was accepted
            return refused.message, refused.status, {"Content-Type": "text/plain; charset=utf-8"}
        if _wants_json():
            message = f"{refused.message} {refused.advice}".strip()
            return jsonify(error={"code": refused.code, "message": message}), refused.status, _headers(error)
        page = await render_template(
            "error.html",
            status=refused.status,
            title=HTTPStatus(refused.status).phrase,
            message=refused.message,
            advice=refused.advice,
            home_url="/",
        )
        return page, refused.status, _headers(error)

    for kind in (Refused, HTTPException, Exception):
        app.register_error_handler(kind, answer)


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, HTTPException):
        return {name: value for name, value in error.get_headers() if name not in ("Content-Type", "Content-Length")}
    return as_refused(error).headers


def _wants_json() -> bool:
    if request.path.startswith("/api/"):
        return True
    best = request.accept_mimetypes.best_match(["text/html", "application/json"])
    return best == "application/json"

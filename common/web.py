"""What the two websites share: one shape of errors, security headers, the origin check, and documentation."""

import importlib.resources
import os
import socket
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from pydantic import BaseModel, Field
from quart import Blueprint, Quart, Response, jsonify, render_template, request, send_from_directory
from quart.typing import ResponseReturnValue
from quart_schema import Info, QuartSchema, hide
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from common.ops import Health, count_requests, ops_routes

MAX_BODY_BYTES = 4096
INSTANCE = f"{socket.gethostname()}:{os.getpid()}"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # not "no-referrer": browsers then send "Origin: null" with our own form
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

log = structlog.get_logger()


class ErrorDetail(BaseModel):
    code: str = Field(description="for programs: does not change")
    message: str = Field(description="for people")


class ErrorBody(BaseModel):
    """Every error in JSON has this shape."""

    error: ErrorDetail


class Refused(Exception):
    """A request that is not done, with what its sender should know."""

    def __init__(self, status: int, code: str, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.advice = advice

    @property
    def headers(self) -> dict[str, str]:
        """503 means: soon again."""
        return {"Retry-After": "2"} if self.status == HTTPStatus.SERVICE_UNAVAILABLE else {}


def create_website(name: str, *, description: str, health: Health) -> Quart:
    """An application with all that both websites share; the caller adds its own routes."""
    app = Quart(name)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config["BODY_TIMEOUT"] = 10  # seconds
    # browsers ask each time whether a file has changed: an edited style shows at the next look
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 0
    count_requests(app)
    app.register_blueprint(ops_routes(health))
    app.register_blueprint(_shared_files())
    _answer_errors(app)
    _add_documentation(app, description)

    @app.after_request
    async def secure(response: Response) -> Response:
        for header, value in HEADERS.items():
            response.headers.setdefault(header, value)
        return response

    return app


def is_foreign(headers: Headers, host: str) -> bool:
    """Whether a browser sent this request from a page of another origin; programs send neither header."""
    origin = headers.get("Origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() != host.lower()
    return headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")


def beside(scheme: str, host: str, port: int) -> str:
    """The address of another port of the host that a request was sent to."""
    name = urlsplit(f"//{host}").hostname or "localhost"
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}/"


def rfc3339(time: datetime) -> str:
    """A time in UTC as APIs write it."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def as_refused(error: Exception) -> Refused:
    """Any error as an answer; what we did not foresee tells its sender nothing about our inside."""
    match error:
        case Refused():
            return error
        case HTTPException(code=413):
            return Refused(413, "too_large", f"A request has at most {MAX_BODY_BYTES} bytes.")
        case HTTPException(code=int(status)):
            phrase = HTTPStatus(status).phrase
            return Refused(status, phrase.lower().replace(" ", "_").replace("-", "_"), error.description or phrase)
        case _:
            return Refused(500, "internal_error", "Something went wrong here.", "Please try again.")


def _shared_files() -> Blueprint:
    """The look that both websites share: templates, and what they link to."""
    shared = Blueprint("shared", __name__, template_folder="templates")

    @shared.get("/shared/<path:filename>", endpoint="static")
    @hide
    async def shared_file(filename: str) -> Response:
        return await send_from_directory(Path(__file__).parent / "static", filename)

    return shared


def _answer_errors(app: Quart) -> None:
    async def answer(error: Exception) -> ResponseReturnValue:
        refused = as_refused(error)
        if refused.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("request_failed", route=str(request.url_rule), exc_info=error)
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


def _add_documentation(app: Quart, description: str) -> None:
    QuartSchema(
        app,
        info=Info(title=app.name, version="1", description=description),
        swagger_ui_path=None,
        redoc_ui_path=None,
        scalar_ui_path=None,
        conversion_preference="pydantic",
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    assets = str(importlib.resources.files("flask_swagger_ui") / "dist")

    @app.get("/docs")
    @hide
    async def docs() -> ResponseReturnValue:
        return await render_template("docs.html", title=app.name, openapi_url="/openapi.json")

    @app.get("/docs/assets/<path:filename>")
    @hide
    async def docs_asset(filename: str) -> Response:
        return await send_from_directory(assets, filename)

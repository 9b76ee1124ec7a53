"""What the two websites share: one shape of errors, security headers, the origin check, and documentation."""

import importlib.resources
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from quart import Blueprint, Quart, Response, render_template, request, send_from_directory
from quart.typing import ResponseReturnValue
from quart_schema import Info, OpenAPIProvider, QuartSchema, hide
from werkzeug.datastructures import Headers

from common.errors import MAX_BODY_BYTES as MAX_BODY_BYTES
from common.errors import ErrorBody as ErrorBody
from common.errors import Refused as Refused
from common.errors import answer_errors
from common.errors import as_refused as as_refused
from common.ops import Health, count_requests, ops_routes
from common.proxies import TrustedProxies
from common.settings import Settings

BODY_SECONDS = 10  # for a request to come as a whole
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
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Only under TLS. A month, not a year: who stops to serve TLS on this host is locked out for as long.
HSTS = {"Strict-Transport-Security": "max-age=2592000"}


def create_website(name: str, *, description: str, health: Health) -> Quart:
    """An application with all that both websites share; the caller adds its own routes."""
    app = Quart(name)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config["BODY_TIMEOUT"] = BODY_SECONDS
    # an edited template or style shows at the next look: Jinja looks at the file's time, and browsers ask each time
    app.config["TEMPLATES_AUTO_RELOAD"] = True
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 0
    count_requests(app)
    app.register_blueprint(ops_routes(health))
    app.register_blueprint(_shared_files())
    answer_errors(app)
    _add_documentation(app, description)

    @app.after_request
    async def secure(response: Response) -> Response:
        for header, value in (HEADERS | HSTS if request.is_secure else HEADERS).items():
            response.headers.setdefault(header, value)
        return response

    return app


def believe_proxies(app: Quart, settings: Settings) -> None:
    """Take from trusted proxies who asks; to be called when nothing else is put in front of the application."""
    if settings.proxies:
        trusting = TrustedProxies(app.asgi_app, settings.proxies, settings.proxy_headers)
        app.asgi_app = trusting  # type: ignore[method-assign]


def is_foreign(headers: Headers, host: str) -> bool:
    """Whether a browser sent this request from a page of another origin; programs send neither header."""
    origin = headers.get("Origin")
    if origin is not None:
        try:
            return urlsplit(origin).netloc.lower() != host.lower()
        except ValueError:  # "http://[" is no address at all
            return True
    return headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")


def beside(scheme: str, host: str, port: int) -> str:
    """The address of another port of the host that a request was sent to."""
    name = urlsplit(f"//{host}").hostname or "localhost"
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}/"


def rfc3339(time: datetime) -> str:
    """A time in UTC as APIs write it."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _shared_files() -> Blueprint:
    """The look that both websites share: templates, and what they link to."""
    shared = Blueprint("shared", __name__, template_folder="templates")

    @shared.get("/shared/<path:filename>", endpoint="static")
    @hide
    async def shared_file(filename: str) -> Response:
        return await send_from_directory(Path(__file__).parent / "static", filename)

    return shared


class _Descriptions(OpenAPIProvider):
    """Also describes answers that are not JSON: a model's `MEDIA_TYPE` says what they are."""

    def build_response_object(self, model: Any, headers_model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        described, definitions = super().build_response_object(model, headers_model)
        if media_type := getattr(model, "MEDIA_TYPE", None):
            described["content"] = {media_type: {"schema": {"type": "string"}}}
        return described, definitions


def _add_documentation(app: Quart, description: str) -> None:
    QuartSchema(
        app,
        info=Info(title=app.name, version="1", description=description),
        swagger_ui_path=None,
        redoc_ui_path=None,
        scalar_ui_path=None,
        openapi_provider_class=_Descriptions,
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

"""What the two websites share: one shape of errors, security headers, and documentation."""

import importlib.resources
import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from quart import Blueprint, Quart, Response, render_template, request, send_from_directory
from quart.typing import ResponseReturnValue
from quart_schema import Info, OpenAPIProvider, QuartSchema, hide

from common.errors import MAX_BODY_BYTES as MAX_BODY_BYTES
from common.errors import ErrorBody as ErrorBody
from common.errors import Refused as Refused
from common.errors import answer_errors
from common.errors import as_refused as as_refused
from common.health import Health, count_requests, health_routes
from common.origin import TrustedProxies
from common.settings import Settings

BODY_SECONDS = 10  # for a request to come as a whole
TEMPLATES = "templates"  # among the extensions of an application
TEMPLATES_SECONDS = 0.01  # how often the files are looked at, at most, and only when somebody asks
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


class Templates:
    """The templates of a website, which are read anew after an edit.

    Jinja's own way looks at a file's time of modification. A file that Tilt copies has it in whole seconds.
    """

    def __init__(self, app: Quart) -> None:
        self._app = app
        folders = (Path(app.root_path) / "templates", Path(__file__).parent / "templates")
        self._watched = [(folder, "*.html") for folder in folders]
        self._version = 0
        self._looked = time.monotonic()
        self._seen = self._look()

    def version(self) -> int:
        """Another number after each edit; whoever keeps a page asks whether it is still the same."""
        now = time.monotonic()
        if now - self._looked > TEMPLATES_SECONDS:
            self._looked = now
            before, self._seen = self._seen, self._look()
            if self._seen != before:
                self._version += 1
                if (cache := self._app.jinja_env.cache) is not None:
                    cache.clear()
        return self._version

    def watch(self, folder: Path, pattern: str) -> None:
        """Also count a change of these files as an edit: pages say what is in them."""
        self._watched.append((folder, pattern))

    async def render(self, name: str, **values: object) -> str:
        """A page, made without a request of Quart's."""
        return await self._app.jinja_env.get_template(name).render_async(**values)

    def _look(self) -> dict[Path, int]:
        found = {}
        for path in (path for folder, pattern in self._watched for path in folder.glob(pattern)):
            with suppress(FileNotFoundError):  # an editor puts another file in its place
                found[path] = path.stat().st_ctime_ns
        return found


def create_website(name: str, *, description: str, health: Health) -> Quart:
    """An application with all that both websites share; the caller adds its own routes."""
    app = Quart(name)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config["BODY_TIMEOUT"] = BODY_SECONDS
    # browsers ask each time whether a file has changed: an edited style shows at the next look
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 0
    app.extensions[TEMPLATES] = templates = Templates(app)
    count_requests(app)
    app.register_blueprint(health_routes(health))
    app.register_blueprint(_shared_files())
    answer_errors(app)
    _add_documentation(app, description)

    @app.before_request
    async def read_edited_templates() -> None:
        templates.version()

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
    """Also describes answers that are not JSON, as a model's `MEDIA_TYPE` says, and that a body must be there."""

    def build_request_body(self, model: Any, source: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        described, definitions = super().build_request_body(model, source)
        return described | {"required": True}, definitions

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

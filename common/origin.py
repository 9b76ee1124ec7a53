"""What a request says of hosts: where it is sent to, and which page sends it.

Nothing of ours asks Quart's `request.host`: Werkzeug makes "" of a host that it does not know how to write, one with an
underscore for example, and fails on others. So the host is read here, once for all, and what is no host is refused
before any other code sees it.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import unquote, urlsplit

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

HeaderList = Iterable[tuple[bytes, bytes]]

# Names as DNS has them, and the underscore that containers are named with; an IPv6 address in brackets; a port.
_HOST = re.compile(
    rb"(?P<name>[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?|\[(?P<address>[0-9a-f:.]{2,45})\])(?::(?P<port>\d{0,5}))?",
    re.IGNORECASE,
)
LONGEST_NAME = 253
LAST_PORT = 65535
_ABSOLUTE = re.compile(rb"https?://(?P<host>[^/?#]*)(?P<path>/.*)?", re.IGNORECASE)

UNREADABLE_HOST = "The Host of this request can't be read.\n"
UNREADABLE_TARGET = "The address of this request can't be read.\n"


def host_of(headers: HeaderList) -> str:
    """The Host as it was sent, "" if there is none; of several the last."""
    host = b""
    for name, value in headers:
        if name == b"host":
            host = value
    return host.decode("latin1")


@lru_cache(1000)
def is_readable_host(host: bytes) -> bool:
    """Whether this is a host that one can have a page of."""
    found = _HOST.fullmatch(host)
    if found is None or len(found["name"]) > LONGEST_NAME or int(found["port"] or 0) > LAST_PORT:
        return False
    try:
        return found["address"] is None or bool(IPv6Address(found["address"].decode()))
    except ValueError:
        return False


def is_foreign(scope: Any) -> bool:
    """Whether a browser sent this from a page of another origin; programs send neither of its headers."""
    origin = site = None
    host = b""
    for name, value in scope["headers"]:
        if name == b"origin":
            if origin is not None:  # no browser sends two
                return True
            origin = value
        elif name == b"sec-fetch-site":
            site = value if site is None else b"several"
        elif name == b"host":
            host = value
    if origin is None:
        return site not in (None, b"none", b"same-origin")
    scheme, _, place = origin.lower().partition(b"://")  # "null" has no place
    # A page of https may be ours although we speak plain HTTP: behind a proxy that nobody named.
    schemes = (b"https",) if scope["scheme"] in ("https", "wss") else (b"http", b"https")
    return scheme not in schemes or not place or place != host.lower()


def beside(scheme: str, host: str, port: int) -> str:
    """The address of another port of the host that a request was sent to."""
    name = urlsplit(f"//{host}").hostname or "localhost"
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}/"


class Gate:
    """The application behind a look at where a request is sent to: only what can be read comes in, in one form."""

    def __init__(self, app: ASGIFramework) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        told = scope if scope["raw_path"].startswith(b"/") else _with_path(scope)
        if told is None or told["path"].startswith("//"):  # that would be "/" for Quart, and for nobody else
            await _refuse(UNREADABLE_TARGET, scope, send)
        elif not _has_one_readable_host(told):
            await _refuse(UNREADABLE_HOST, scope, send)
        else:
            await self._app(told, receive, send)


def _has_one_readable_host(scope: Any) -> bool:
    """Whether it names one host that can be read; HTTP/1.0, which many a health check speaks, needs to name none."""
    host = None
    for name, value in scope["headers"]:
        if name == b"host":
            if host is not None:
                return False
            host = value
    return is_readable_host(host) if host is not None else scope.get("http_version") == "1.0"


def _with_path(scope: Any) -> Any:
    """The same request with a path only; an address may name the host as well, and then does (RFC 9112, 3.2.2)."""
    found = _ABSOLUTE.fullmatch(scope["raw_path"])
    if found is None:
        # what asks for no page, but for what the server can do
        return scope if scope["raw_path"] == b"*" and scope.get("method") == "OPTIONS" else None
    path = found["path"] or b"/"
    headers = [(b"host", found["host"]), *((name, value) for name, value in scope["headers"] if name != b"host")]
    return {**scope, "raw_path": path, "path": unquote(path.decode("ascii")), "headers": headers}


async def _refuse(reason: str, scope: Scope, send: Any) -> None:
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    body = reason.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": f"{kind}.start", "status": 400, "headers": headers})
    await send({"type": f"{kind}.body", "body": body, "more_body": False})

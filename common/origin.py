"""Where a request comes from and where it is sent: client address, trusted proxies, Host, and the page that sent it.

No code of ours uses Quart's `request.host`: Werkzeug turns a host that it can't parse, such as one with an underscore,
into "", and fails on others. So `HostCheck` reads the host once for all, and refuses an invalid one before any other
code sees it.

Proxies are believed only if they connect from a trusted address. Hypercorn's ProxyFixMiddleware counts hops and
believes anybody who connects directly. Here each address is examined, from the nearest backwards; the first one that is
not a trusted proxy is the client, whatever stands before it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

from common.settings import Network

HeaderList = Iterable[tuple[bytes, bytes]]

# DNS names, plus the underscore used in container names; an IPv6 address in brackets; a port.
_HOST = re.compile(
    rb"(?P<name>[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?|\[(?P<address>[0-9a-f:.]{2,45})\])(?::(?P<port>\d{0,5}))?",
    re.IGNORECASE,
)
LONGEST_NAME = 253
LAST_PORT = 65535
_ABSOLUTE = re.compile(rb"https?://(?P<host>[^/?#]*)(?P<path>/.*)?", re.IGNORECASE)

UNREADABLE_HOST = "The Host of this request can't be read.\n"
UNREADABLE_TARGET = "The address of this request can't be read.\n"

SCHEMES = {"http": {"http": "http", "https": "https"}, "websocket": {"http": "ws", "https": "wss"}}


def ip_of(text: str) -> IPv4Address | IPv6Address | None:
    """The address without its zone, an IPv4-mapped one as IPv4; None for a UNIX socket's."""
    try:
        ip = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def network_of(ip: IPv6Address, bits: int) -> str:
    """The network with this prefix length. A /64 is one household's, which has 2^64 addresses to choose from."""
    return f"{IPv6Address(int(ip) >> 128 - bits << 128 - bits)}/{bits}"


def host_of(headers: HeaderList) -> str:
    """The Host as it was sent, "" if there is none; the last one if there are several."""
    host = b""
    for name, value in headers:
        if name == b"host":
            host = value
    return host.decode("latin1")


@lru_cache(1000)
def is_valid_host(host: bytes) -> bool:
    """Whether this is a host that can serve a page."""
    found = _HOST.fullmatch(host)
    if found is None or len(found["name"]) > LONGEST_NAME or int(found["port"] or 0) > LAST_PORT:
        return False
    try:
        return found["address"] is None or bool(IPv6Address(found["address"].decode()))
    except ValueError:
        return False


def is_cross_origin(scope: Any) -> bool:
    """Whether a browser sent this from a page of another origin; programs send neither of the two headers."""
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
    # An https page may be ours even if we speak plain HTTP: behind a proxy that is not in TRUSTED_PROXIES.
    schemes = (b"https",) if scope["scheme"] in ("https", "wss") else (b"http", b"https")
    return scheme not in schemes or not place or place != host.lower()


def sibling_url(scheme: str, host: str, port: int) -> str:
    """The URL of another port of the host that a request was sent to."""
    name = urlsplit(f"//{host}").hostname or "localhost"
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}/"


class HostCheck:
    """The application behind a check of where requests are sent: only valid ones pass, in one form."""

    def __init__(self, app: ASGIFramework) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        told = scope if scope["raw_path"].startswith(b"/") else _with_path(scope)
        if told is None or told["path"].startswith("//"):  # Quart would take that for "/", and nobody else does
            await _refuse(UNREADABLE_TARGET, scope, send)
        elif not _has_one_valid_host(told):
            await _refuse(UNREADABLE_HOST, scope, send)
        else:
            await self._app(told, receive, send)


def _has_one_valid_host(scope: Any) -> bool:
    """Whether it names exactly one valid host; HTTP/1.0, which many health checks speak, may name none."""
    host = None
    for name, value in scope["headers"]:
        if name == b"host":
            if host is not None:
                return False
            host = value
    return is_valid_host(host) if host is not None else scope.get("http_version") == "1.0"


def _with_path(scope: Any) -> Any:
    """The same request with only a path; an absolute URL names the host, which then counts (RFC 9112, 3.2.2)."""
    found = _ABSOLUTE.fullmatch(scope["raw_path"])
    if found is None:
        # "OPTIONS *" asks about the server, not for a page
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


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy says about whoever connected to it; None where it says nothing."""

    client: str | None = None
    scheme: str | None = None
    host: str | None = None


class TrustedProxies:
    """The application behind proxies: client, scheme and host of a request are what the trusted ones say."""

    def __init__(self, app: ASGIFramework, trusted: Sequence[Network], headers: str) -> None:
        self._app = app
        self._trusted = trusted
        # one kind only: a proxy that sets one kind passes on whatever a client has written into the other
        self._hops = _forwarded if headers == "forwarded" else _x_forwarded

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "lifespan" and self._is_trusted((scope.get("client") or ("",))[0]):
            scope = self._corrected(scope)
        await self._app(scope, receive, send)

    def _corrected(self, scope: Any) -> Any:
        said = self._nearest_untrusted(self._hops(scope["headers"]))
        changes: dict[str, Any] = {}
        if said.client is not None:
            changes["client"] = (said.client, 0)
        if scheme := SCHEMES[scope["type"]].get((said.scheme or "").lower()):
            changes["scheme"] = scheme
        host = (said.host or "").encode("latin1")
        if is_valid_host(host):  # a proxy may pass on what a client has written
            headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
            changes["headers"] = [*headers, (b"host", host)]
        return {**scope, **changes}

    def _nearest_untrusted(self, hops: list[_Hop]) -> _Hop:
        """The hop whose client is not a trusted proxy; the farthest known one if all are."""
        said = _Hop()
        for hop in reversed(hops):
            address = _address(hop.client or "")
            if hop.client is not None and address is None:
                return said  # "unknown", or nonsense: nobody vouches for what stands before it
            said = _Hop(str(address) if address else said.client, hop.scheme or said.scheme, hop.host or said.host)
            if not self._is_trusted(said.client or ""):
                break
        return said

    def _is_trusted(self, client: str) -> bool:
        address = _address(client)
        return address is not None and any(address in network for network in self._trusted)


def _x_forwarded(headers: HeaderList) -> list[_Hop]:
    clients = _values(headers, b"x-forwarded-for")
    schemes = _values(headers, b"x-forwarded-proto")
    hosts = _values(headers, b"x-forwarded-host")
    # Proxies append to the first and overwrite the others, so all are counted from the end.
    count = max(len(clients), 1)
    return [
        _Hop(
            clients[-number] if number <= len(clients) else None,
            schemes[-number] if number <= len(schemes) else None,
            hosts[-number] if number <= len(hosts) else None,
        )
        for number in range(count, 0, -1)
    ]


def _forwarded(headers: HeaderList) -> list[_Hop]:
    hops = []
    for element in _values(headers, b"forwarded"):
        pairs = {
            name.strip().lower(): value.strip().strip('"')
            for name, _, value in (pair.partition("=") for pair in element.split(";"))
        }
        hops.append(_Hop(pairs.get("for"), pairs.get("proto"), pairs.get("host")))
    return hops


def _values(headers: HeaderList, wanted: bytes) -> list[str]:
    texts = [value.decode("latin1") for name, value in headers if name.lower() == wanted]
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address in "192.0.2.1", "192.0.2.1:80", "2001:db8::1" or "[2001:db8::1]:80"."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address

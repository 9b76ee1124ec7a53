"""Who asks, when a proxy asks for others: its headers are believed only if it connects from a trusted address.

Hypercorn's ProxyFixMiddleware counts hops and believes anybody who connects directly. Here each address is looked at,
from the nearest backwards; the first one that is no trusted proxy is the client's, whatever it has written before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

from common.origin import is_readable_host
from common.settings import Network

SCHEMES = {"http": {"http": "http", "https": "https"}, "websocket": {"http": "ws", "https": "wss"}}


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy says of whoever connected to it; None where it says nothing."""

    client: str | None = None
    scheme: str | None = None
    host: str | None = None


class TrustedProxies:
    """The application behind proxies: client, scheme and host of a request are what the trusted ones say."""

    def __init__(self, app: ASGIFramework, trusted: Sequence[Network], headers: str) -> None:
        self._app = app
        self._trusted = trusted
        # one kind only: a proxy that sets the one hands on what a client has written into the other
        self._hops = _forwarded if headers == "forwarded" else _x_forwarded

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "lifespan" and self._is_trusted((scope.get("client") or ("",))[0]):
            scope = self._corrected(scope)
        await self._app(scope, receive, send)

    def _corrected(self, scope: Any) -> Any:
        said = self._nearest_not_ours(self._hops(scope["headers"]))
        changes: dict[str, Any] = {}
        if said.client is not None:
            changes["client"] = (said.client, 0)
        if scheme := SCHEMES[scope["type"]].get((said.scheme or "").lower()):
            changes["scheme"] = scheme
        host = (said.host or "").encode("latin1")
        if is_readable_host(host):  # a proxy may hand on what a client has written
            headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
            changes["headers"] = [*headers, (b"host", host)]
        return {**scope, **changes}

    def _nearest_not_ours(self, hops: list[_Hop]) -> _Hop:
        """The hop whose client is no trusted proxy; the farthest that is known when all of them are."""
        said = _Hop()
        for hop in reversed(hops):
            address = _address(hop.client or "")
            if hop.client is not None and address is None:
                return said  # "unknown", or nonsense: what stands before it has nobody's word
            said = _Hop(str(address) if address else said.client, hop.scheme or said.scheme, hop.host or said.host)
            if not self._is_trusted(said.client or ""):
                break
        return said

    def _is_trusted(self, client: str) -> bool:
        address = _address(client)
        return address is not None and any(address in network for network in self._trusted)


def _x_forwarded(headers: Iterable[tuple[bytes, bytes]]) -> list[_Hop]:
    clients = _values(headers, b"x-forwarded-for")
    schemes = _values(headers, b"x-forwarded-proto")
    hosts = _values(headers, b"x-forwarded-host")
    # Proxies append to the one and overwrite the other, so they are counted from the end.
    count = max(len(clients), 1)
    return [
        _Hop(
            clients[-number] if number <= len(clients) else None,
            schemes[-number] if number <= len(schemes) else None,
            hosts[-number] if number <= len(hosts) else None,
        )
        for number in range(count, 0, -1)
    ]


def _forwarded(headers: Iterable[tuple[bytes, bytes]]) -> list[_Hop]:
    hops = []
    for element in _values(headers, b"forwarded"):
        pairs = {
            name.strip().lower(): value.strip().strip('"')
            for name, _, value in (pair.partition("=") for pair in element.split(";"))
        }
        hops.append(_Hop(pairs.get("for"), pairs.get("proto"), pairs.get("host")))
    return hops


def _values(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[str]:
    texts = [value.decode("latin1") for name, value in headers if name.lower() == wanted]
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address of "192.0.2.1", "192.0.2.1:80", "2001:db8::1" or "[2001:db8::1]:80"."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address

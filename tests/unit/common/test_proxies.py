"""Proxies' headers: believed from the addresses that were named, and from nobody else."""

from ipaddress import ip_network
from typing import Any

import pytest

from common.proxies import TrustedProxies

PROXY = "10.1.2.3"
CLIENT = "198.51.100.7"
LIAR = "203.0.113.66"

Headers = list[tuple[bytes, bytes]]


async def seen(peer: str | None, headers: dict[str, str], *, kind: str = "x-forwarded", websocket: bool = False) -> Any:
    """Client, scheme and host, as the application sees them."""
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    trusting = TrustedProxies(app, [ip_network("10.0.0.0/8"), ip_network("fd00::/8")], kind)
    lines: Headers = [(b"host", b"inside:5000")]
    lines += [(name.lower().encode(), value.encode("latin1")) for name, value in headers.items()]
    scope: Any = {
        "type": "websocket" if websocket else "http",
        "client": (peer, 4711) if peer else None,
        "scheme": "ws" if websocket else "http",
        "headers": lines,
    }
    untouched: Any = None
    await trusting(scope, untouched, untouched)
    found = scopes[0]
    hosts = [value.decode() for name, value in found["headers"] if name == b"host"]
    return (found["client"] or (None,))[0], found["scheme"], *hosts


ALL = {"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "poll.example"}


async def test_a_trusted_proxy_is_believed() -> None:
    assert await seen(PROXY, ALL) == (CLIENT, "https", "poll.example")
    assert await seen("fd00::1", ALL) == (CLIENT, "https", "poll.example")
    assert await seen("::ffff:10.0.0.1", ALL) == (CLIENT, "https", "poll.example")


@pytest.mark.parametrize("peer", [LIAR, "11.0.0.1", "127.0.0.1", None, "<local>"])
@pytest.mark.parametrize("kind", ["x-forwarded", "forwarded"])
async def test_nobody_else_is(peer: str | None, kind: str) -> None:
    lies = ALL | {"Forwarded": f"for={CLIENT};proto=https;host=poll.example"}

    assert await seen(peer, lies, kind=kind) == (peer, "http", "inside:5000")


async def test_a_websocket_keeps_its_kind_of_scheme() -> None:
    assert await seen(PROXY, ALL, websocket=True) == (CLIENT, "wss", "poll.example")


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        (f"{LIAR}, {CLIENT}", CLIENT),  # the client wrote the first one itself
        (f"10.9.9.9, {CLIENT}", CLIENT),  # also when it wrote a proxy's address
        (f"{CLIENT}, 10.9.9.9", CLIENT),  # two proxies of ours, one behind the other
        (f"{LIAR}, {CLIENT}, 10.9.9.9", CLIENT),
        (f"{CLIENT}:4711", CLIENT),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        (f"{LIAR}, unknown", PROXY),  # nobody vouches for what stands before "unknown"
        ("nonsense", PROXY),
        ("", PROXY),
        (",,", PROXY),
    ],
)
async def test_the_client_is_the_nearest_address_that_is_no_proxy_of_ours(forwarded_for: str, client: str) -> None:
    assert (await seen(PROXY, {"X-Forwarded-For": forwarded_for}))[0] == client


async def test_a_scheme_that_the_client_wrote_before_the_proxys_is_not_believed() -> None:
    assert (await seen(PROXY, {"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https, http"}))[1] == "http"
    assert (await seen(PROXY, {"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "gopher"}))[1] == "http"


async def test_a_scheme_may_come_alone() -> None:
    assert await seen(PROXY, {"X-Forwarded-Proto": "HTTPS"}) == (PROXY, "https", "inside:5000")


async def test_the_outer_proxys_scheme_and_host_are_those_of_the_client() -> None:
    headers = {
        "X-Forwarded-For": f"{CLIENT}, 10.9.9.9",
        "X-Forwarded-Proto": "https, http",
        "X-Forwarded-Host": "poll.example, inner.example",
    }

    assert await seen(PROXY, headers) == (CLIENT, "https", "poll.example")


async def test_the_standards_header_is_read_where_it_is_the_one_that_the_proxy_sets() -> None:
    headers = {"Forwarded": f'for={LIAR};proto=http, For="[2001:db8::1]:4711";Proto=https;Host="poll.example"'}

    assert await seen(PROXY, headers, kind="forwarded") == ("2001:db8::1", "https", "poll.example")


async def test_the_kind_that_the_proxy_does_not_set_is_the_clients_and_is_ignored() -> None:
    assert await seen(PROXY, {"Forwarded": f"for={LIAR};proto=https"}) == (PROXY, "http", "inside:5000")
    assert await seen(PROXY, ALL, kind="forwarded") == (PROXY, "http", "inside:5000")


@pytest.mark.parametrize("host", ["a..b", ".a", "a" * 64, "", "\xff", "a b", "http://["])
async def test_a_host_that_can_not_be_read_changes_nothing(host: str) -> None:
    assert (await seen(PROXY, ALL | {"X-Forwarded-Host": host}))[2:] == ("inside:5000",)
    assert (await seen(PROXY, {"Forwarded": f'for={CLIENT};host="{host}"'}, kind="forwarded"))[2:] == ("inside:5000",)

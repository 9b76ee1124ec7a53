"""Where requests come from and go to: hosts, origins, and proxies that are trusted or not."""

from ipaddress import ip_network
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.origin import HostCheck, TrustedProxies, host_of, is_cross_origin, is_valid_host, sibling_url

Headers = list[tuple[bytes, bytes]]


def scope(headers: Headers, scheme: str = "http") -> dict[str, Any]:
    return {"type": "websocket" if scheme[0] == "w" else "http", "scheme": scheme, "headers": headers}


def foreign(
    origin: bytes | None, host: bytes = b"poll.example", scheme: str = "http", *more: tuple[bytes, bytes]
) -> bool:
    headers = [(b"host", host), *more] + ([(b"origin", origin)] if origin is not None else [])
    return is_cross_origin(scope(headers, scheme))


READABLE = [
    b"localhost",
    b"localhost:5000",
    b"LOCALHOST",
    b"my_vote_1:5000",
    b"10.0.0.7",
    b"[::1]:5000",
    b"[2001:db8::1]",
    b"poll.example.",
    b"a" * 63 + b".example",
    b"localhost:",
]
UNREADABLE = [
    b"",
    b" ",
    b"a..b",
    b".a",
    b"a" * 64,
    b"a." * 126 + b"aa",
    b"\xff",
    b"caf\xc3\xa9",
    b"a b",
    b"a/b",
    b"a@b",
    b"user:word@host",
    b"host:port",
    b"host:65536",
    b"host:123456",
    b"[::1",
    b"[1:2]",
    b"[]",
    b"::1",
    b"a,b",
    b"<script>",
]


@pytest.mark.parametrize("host", READABLE)
def test_a_host_is_read(host: bytes) -> None:
    assert is_valid_host(host)
    assert sibling_url("http", host.decode(), 5001).endswith(":5001/")


@pytest.mark.parametrize("host", UNREADABLE)
def test_what_is_no_host_is_not(host: bytes) -> None:
    assert not is_valid_host(host)


@given(st.binary(max_size=300))
def test_no_bytes_are_too_much_for_it(host: bytes) -> None:
    if is_valid_host(host):
        sibling_url("http", host.decode("ascii"), 1)


def test_links_beside_keep_the_host_whatever_its_name() -> None:
    assert sibling_url("http", "my_vote_1:5000", 5001) == "http://my_vote_1:5001/"
    assert sibling_url("https", "[::1]:5000", 5001) == "https://[::1]:5001/"
    assert sibling_url("http", "", 5001) == "http://localhost:5001/"


@pytest.mark.parametrize("host", [b"poll.example", b"my_vote_1:5000", b"[::1]:5000", b"POLL.example"])
@pytest.mark.parametrize("scheme", ["http", "https", "ws", "wss"])
def test_our_own_page_is_ours(host: bytes, scheme: str) -> None:
    page = {"ws": b"http://", "wss": b"https://"}.get(scheme, scheme.encode() + b"://")
    assert not foreign(page + host.lower(), host, scheme)


@pytest.mark.parametrize(
    "origin",
    [b"null", b"", b"http://", b"http://other.example", b"http://poll.example:81", b"http://poll.example.evil", b"http://[",
     b"http://poll.example/", b"poll.example", b"file://", b"chrome-extension://poll.example", b"\xff\xfe"],
)  # fmt: skip
@pytest.mark.parametrize("scheme", ["http", "https", "ws", "wss"])
def test_another_origin_is_foreign(origin: bytes, scheme: str) -> None:
    assert foreign(origin, scheme=scheme)


@pytest.mark.parametrize("host", [b"my_vote_1", b"", b"a..b"])
@pytest.mark.parametrize("site", [b"cross-site", b"same-origin", b"none"])
def test_a_page_without_an_origin_of_its_own_is_foreign_whatever_the_host(host: bytes, site: bytes) -> None:
    assert foreign(b"null", host, "http", (b"sec-fetch-site", site))
    assert foreign(b"http://", host, "http", (b"sec-fetch-site", site))


def test_a_page_of_plain_http_is_foreign_to_https_and_not_the_other_way_round() -> None:
    """A service behind a proxy that nobody named takes itself for plain HTTP."""
    assert foreign(b"http://poll.example", scheme="https")
    assert not foreign(b"https://poll.example", scheme="http")


@pytest.mark.parametrize(
    ("site", "is_so"),
    [
        (None, False),
        (b"none", False),
        (b"same-origin", False),
        (b"same-site", True),
        (b"cross-site", True),
        (b"", True),
    ],
)
def test_without_an_origin_the_browser_says_where_the_page_is_from(site: bytes | None, is_so: bool) -> None:
    assert foreign(None, b"poll.example", "http", *([(b"sec-fetch-site", site)] if site is not None else [])) == is_so


def test_of_two_origins_or_two_sites_none_is_ours() -> None:
    ours = (b"origin", b"http://poll.example")
    same = (b"sec-fetch-site", b"same-origin")
    assert foreign(ours[1], b"poll.example", "http", ours)
    assert foreign(None, b"poll.example", "http", same, same)


def test_the_host_is_as_it_was_sent() -> None:
    assert host_of([(b"accept", b"*/*"), (b"host", b"my_vote_1:5000")]) == "my_vote_1:5000"
    assert host_of([]) == ""


async def through_gate(
    target: bytes, *headers: tuple[bytes, bytes], method: str = "GET", kind: str = "http", version: str = "1.1"
) -> Any:
    """The scope that the application sees, or the status of the refusal."""
    seen: list[Any] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    async def send(message: Any) -> None:
        sent.append(message)

    path, _, query = target.partition(b"?")
    given = {"type": kind, "method": method, "raw_path": path, "path": unquote(path), "query_string": query}
    unused: Any = None
    await HostCheck(app)({**given, "http_version": version, "headers": list(headers)}, unused, send)  # type: ignore[arg-type]
    assert len(seen) + len(sent) // 2 == 1
    return seen[0] if seen else sent[0]["status"]


HOST = (b"host", b"poll.example")


async def test_an_address_names_path_and_host() -> None:
    seen = await through_gate(b"http://other.example:81/api/b%61llot?x=1", HOST)

    assert (seen["raw_path"], seen["path"], seen["query_string"]) == (b"/api/b%61llot", "/api/ballot", b"x=1")
    assert host_of(seen["headers"]) == "other.example:81"
    assert (await through_gate(b"HTTP://other.example", HOST))["path"] == "/"


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "target",
    [
        b"http://[",
        b"http://a..b/",
        b"http:///",
        b"?vote=a",
        b"vote",
        b"*",
        b"a:443",
        b"ftp://poll.example/",
        b"//",
        b"//api/votes",
        b"/%2fx",
        b"http://poll.example//",
    ],
)
async def test_a_target_that_is_none_is_refused(target: bytes, kind: str) -> None:
    assert await through_gate(target, HOST, kind=kind) == 400


@pytest.mark.parametrize("host", UNREADABLE)
async def test_an_unreadable_host_is_refused(host: bytes) -> None:
    assert await through_gate(b"/", (b"host", host)) == 400


async def test_no_host_and_two_hosts_are_refused() -> None:
    assert await through_gate(b"/") == 400
    assert await through_gate(b"/", HOST, HOST) == 400


async def test_http_1_0_needs_to_name_no_host() -> None:
    """Health checks of proxies speak it."""
    assert (await through_gate(b"/readyz", version="1.0"))["path"] == "/readyz"
    assert await through_gate(b"/", HOST, HOST, version="1.0") == 400


async def test_what_the_server_can_do_may_be_asked() -> None:
    assert (await through_gate(b"*", HOST, method="OPTIONS"))["path"] == "*"


PROXY = "10.1.2.3"
CLIENT = "198.51.100.7"
LIAR = "203.0.113.66"


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

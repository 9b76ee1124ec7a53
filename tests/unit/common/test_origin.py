"""Hosts and origins: what can be read, what is ours, and nothing that fails."""

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.origin import Gate, beside, host_of, is_foreign, is_readable_host

Headers = list[tuple[bytes, bytes]]


def scope(headers: Headers, scheme: str = "http") -> dict[str, Any]:
    return {"type": "websocket" if scheme[0] == "w" else "http", "scheme": scheme, "headers": headers}


def foreign(
    origin: bytes | None, host: bytes = b"poll.example", scheme: str = "http", *more: tuple[bytes, bytes]
) -> bool:
    headers = [(b"host", host), *more] + ([(b"origin", origin)] if origin is not None else [])
    return is_foreign(scope(headers, scheme))


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
    assert is_readable_host(host)
    assert beside("http", host.decode(), 5001).endswith(":5001/")


@pytest.mark.parametrize("host", UNREADABLE)
def test_what_is_no_host_is_not(host: bytes) -> None:
    assert not is_readable_host(host)


@given(st.binary(max_size=300))
def test_no_bytes_are_too_much_for_it(host: bytes) -> None:
    if is_readable_host(host):
        beside("http", host.decode("ascii"), 1)


def test_links_beside_keep_the_host_whatever_its_name() -> None:
    assert beside("http", "my_vote_1:5000", 5001) == "http://my_vote_1:5001/"
    assert beside("https", "[::1]:5000", 5001) == "https://[::1]:5001/"
    assert beside("http", "", 5001) == "http://localhost:5001/"


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
    await Gate(app)({**given, "http_version": version, "headers": list(headers)}, unused, send)  # type: ignore[arg-type]
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

"""TLS with a real certificate: the services' own, and a proxy's before them."""

import asyncio
import json
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.typing import Origin

from common import probe
from common.connections import HEADERS_SECONDS
from common.server import HANDSHAKE_SECONDS
from local import servers
from tests.e2e.test_stopping import STOP_SECONDS
from tests.integration.tls_proxy import tls_proxy
from tests.services import Service, service
from tests.waiting import BUSY_SECONDS, eventually

pytestmark = pytest.mark.platform


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    """What a browser trusts that knows our authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def certificate(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The settings that name it."""
    folder = tmp_path_factory.mktemp("certificate")
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    for pem in issued.cert_chain_pems:
        pem.write_to_path(str(folder / "chain.pem"), append=True)
    return {"TLS_CERTIFICATE": str(folder / "chain.pem"), "TLS_KEY": str(folder / "key.pem")}


@contextmanager
def under_tls(name: str, trust: ssl.SSLContext, **settings: Any) -> Iterator[Service]:
    """A service that speaks TLS, ready."""
    with service(name, **settings) as running:
        running.url = running.url.replace("http:", "https:")
        with httpx.Client(timeout=10, verify=trust) as running.client:
            running.until_ready()
            yield running


def port_of(running: Service) -> int:
    return int(running.url.rpartition(":")[2])


def test_votes_are_cast_under_tls_and_cookies_stay_there(
    redis: servers.Server, trust: ssl.SSLContext, certificate: dict[str, Any]
) -> None:
    with under_tls("vote", trust, redis_url=redis.url, **certificate) as vote:
        answer = vote.client.post(f"{vote.url}/", data={"vote": "a"}, headers={"Origin": vote.url})
        with pytest.raises(httpx.TransportError):
            httpx.get(vote.url.replace("https:", "http:"))
        assert probe.problem(port_of(vote)) == ""
        with socket.create_connection(("127.0.0.1", port_of(vote))) as plain:
            tls = ssl.create_default_context()
            with pytest.raises(ssl.SSLCertVerificationError):
                tls.wrap_socket(plain, server_hostname="localhost")

    assert answer.status_code == 303
    assert "Strict-Transport-Security" in answer.headers
    assert_cookies_stay_under_tls(answer)


def assert_cookies_stay_under_tls(answer: httpx.Response) -> None:
    cookies = answer.headers.get_list("set-cookie")
    assert cookies
    assert [cookie for cookie in cookies if "Secure" not in cookie] == []


def test_old_versions_of_tls_are_refused(
    redis: servers.Server, trust: ssl.SSLContext, certificate: dict[str, Any]
) -> None:
    with under_tls("vote", trust, redis_url=redis.url, **certificate) as vote:
        with pytest.warns(DeprecationWarning, match="deprecated"):
            old = ssl.SSLContext(ssl.PROTOCOL_TLSv1_1)
        old.set_ciphers("ALL:@SECLEVEL=0")
        with socket.create_connection(("127.0.0.1", port_of(vote))) as plain, pytest.raises((ssl.SSLError, OSError)):
            old.wrap_socket(plain)


async def test_the_dashboard_is_live_under_tls_and_ends_in_time_with_viewers_that_never_read(
    redis: servers.Server,
    database: str,
    trust: ssl.SSLContext,
    certificate: dict[str, Any],
    capfd: pytest.CaptureFixture[str],
) -> None:
    # Python would warn of the connection whose handshake never ended: it is dropped with the process
    more: dict[str, Any] = {"redis_url": redis.url, "database_url": database, "PYTHONWARNINGS": "", **certificate}
    with under_tls("result", trust, **more) as result:
        # not by the client with threads: two of them in one TLS connection crash now and then before Python 3.13
        address = result.url.replace("https:", "wss:") + "/ws"
        async with connect(address, ssl=trust, proxy=None) as viewer:
            assert json.loads(await viewer.recv())["total"] == 0
        viewers = [await connect(address, ssl=trust, proxy=None, max_queue=1) for _ in range(10)]
        with socket.create_connection(("127.0.0.1", port_of(result))) as silent:
            silent.sendall(b"\x16\x03\x01")  # the beginning of a handshake that never ends
            began = time.monotonic()
            result.process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(result.process.wait, 60)
            seconds = time.monotonic() - began
        for each in viewers:
            await each.close()

    assert code == 0
    assert seconds < STOP_SECONDS + BUSY_SECONDS
    assert "Traceback" not in "".join(capfd.readouterr())


def ended_after(connection: socket.socket) -> float:
    """How many seconds a connection lasts on which the client says nothing more."""
    connection.settimeout(HANDSHAKE_SECONDS + HEADERS_SECONDS + BUSY_SECONDS)
    began = time.monotonic()
    with suppress(ConnectionError, ssl.SSLError):
        while connection.recv(65536):
            pass
    return time.monotonic() - began


def test_who_never_ends_a_handshake_or_says_nothing_after_it_is_ended(
    redis: servers.Server, trust: ssl.SSLContext, certificate: dict[str, Any]
) -> None:
    """Like any other silent client, and counted like it; one who doesn't answer the goodbye holds nothing either."""
    with under_tls("vote", trust, redis_url=redis.url, **certificate) as vote, ExitStack() as stack:
        for sent in (b"", b"\x16", b"\x16\x03\x01\x02\0\1", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" * 999):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", port_of(vote))))
            silent.sendall(sent)
        plain = stack.enter_context(socket.create_connection(("127.0.0.1", port_of(vote))))
        quiet = stack.enter_context(trust.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=True))
        last = stack.enter_context(socket.create_connection(("127.0.0.1", port_of(vote))))
        assert vote.metric("connections_open") >= 3
        assert ended_after(last) < HANDSHAKE_SECONDS + BUSY_SECONDS
        assert ended_after(quiet) < HEADERS_SECONDS + HANDSHAKE_SECONDS + BUSY_SECONDS
        eventually(lambda: vote.metric("connections_open") == 1, within=2 * HANDSHAKE_SECONDS + BUSY_SECONDS)


@pytest.mark.parametrize("offered", [["h2"], ["h2", "http/1.1"], []])
def test_nobody_speaks_http_2_under_tls(
    redis: servers.Server, trust: ssl.SSLContext, certificate: dict[str, Any], authority: trustme.CA, offered: list[str]
) -> None:
    """Neither by ALPN nor past it."""
    browser = ssl.create_default_context()
    authority.configure_trust(browser)
    if offered:
        browser.set_alpn_protocols(offered)
    with under_tls("vote", trust, redis_url=redis.url, **certificate) as vote:
        with socket.create_connection(("127.0.0.1", port_of(vote))) as plain:
            connection = browser.wrap_socket(plain, server_hostname="localhost")
            with connection:
                assert connection.selected_alpn_protocol() in (None, "http/1.1")
                connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
                assert connection.recv(12) == b"HTTP/1.1 400"
                assert ended_after(connection) < HANDSHAKE_SECONDS + BUSY_SECONDS
        eventually(lambda: vote.metric("connections_open") == 1, within=HANDSHAKE_SECONDS + BUSY_SECONDS)


@pytest.mark.parametrize("wrong", ["missing", "another key"])
def test_a_certificate_that_can_not_be_used_is_one_clear_line(
    certificate: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str], wrong: str
) -> None:
    settings: dict[str, Any] = dict(certificate)
    if wrong == "missing":
        settings["TLS_CERTIFICATE"] = str(tmp_path / "nothing.pem")
    else:
        trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(str(tmp_path / "key.pem"))
        settings["TLS_KEY"] = str(tmp_path / "key.pem")

    with service("vote", redis_url="redis://127.0.0.1:1", **settings) as vote:
        assert vote.process.wait(30) == 1

    err = capfd.readouterr().err
    setting = "TLS_CERTIFICATE" if wrong == "missing" else "TLS_KEY"
    assert err.startswith(f"vote: {setting}={settings[setting]}: ")
    assert len(err.splitlines()) == 1


async def test_behind_a_proxy_that_speaks_tls_voters_and_viewers_are_under_tls(
    redis: servers.Server, database: str, trust: ssl.SSLContext, certificate: dict[str, Any]
) -> None:
    outside = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    outside.load_cert_chain(certificate["TLS_CERTIFICATE"], certificate["TLS_KEY"])
    more: dict[str, Any] = {"redis_url": redis.url, "TRUSTED_PROXIES": "127.0.0.1"}
    with service("vote", **more) as vote, service("result", database_url=database, **more) as result:
        vote.until_ready()
        result.until_ready()
        async with tls_proxy(port_of(vote), outside) as vote_port, tls_proxy(port_of(result), outside) as result_port:
            address = f"https://localhost:{vote_port}"
            headers = {"Connection": "close"}
            async with httpx.AsyncClient(verify=trust, headers=headers) as browser:
                page = await browser.get(f"{address}/")
                answer = await browser.post(f"{address}/", data={"vote": "a"}, headers={"Origin": address})
            async with connect(
                f"wss://localhost:{result_port}/ws",
                ssl=trust,
                proxy=None,
                origin=Origin(f"https://localhost:{result_port}"),
            ) as viewer:
                assert json.loads(await viewer.recv())["total"] == 0

    assert answer.status_code == 303
    assert "Strict-Transport-Security" in page.headers
    assert_cookies_stay_under_tls(answer)
    assert 'href="https://localhost:5001/"' in page.text

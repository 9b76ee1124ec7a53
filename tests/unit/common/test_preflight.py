"""What this machine must have for the settings is told at once, and never waited for."""

import socket
import threading
import time
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from common import preflight
from common.preflight import address_to_listen_on, tls_problems

pytestmark = pytest.mark.platform

NO_IPV6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", pytest.param("::", marks=NO_IPV6)])
def test_an_address_of_this_machine_is_taken_as_it_is(host: str) -> None:
    assert address_to_listen_on(host) == host


def test_a_name_of_this_machine_is_taken_for_its_address() -> None:
    assert address_to_listen_on("localhost") == "127.0.0.1"


@pytest.mark.parametrize("host", ["203.0.113.9", "2001:db8::7"])
def test_an_address_of_another_machine_is_refused_with_those_that_can_be_meant(host: str) -> None:
    with pytest.raises(
        ValueError, match=r"HOST=127\.0\.0\.1 is for this machine alone, HOST=0\.0\.0\.0 for every machine"
    ):
        address_to_listen_on(host)


def test_a_name_of_another_machine_is_refused_with_its_address(resolver: dict[str, list[str]]) -> None:
    resolver["db.example.org"] = ["203.0.113.9"]
    with pytest.raises(ValueError, match=r"^it means 203\.0\.113\.9, and this machine has no such address"):
        address_to_listen_on("db.example.org")


def test_of_several_addresses_of_a_name_one_of_this_machine_is_enough(resolver: dict[str, list[str]]) -> None:
    resolver["this.example.org"] = ["203.0.113.9", "127.0.0.1"]
    assert address_to_listen_on("this.example.org") == "127.0.0.1"


@NO_IPV6
def test_a_name_with_nothing_but_ipv6_is_asked_for_as_an_address(resolver: dict[str, list[str]]) -> None:
    """The server would try to bind it in IPv4."""
    resolver["six.example.org"] = ["::1"]
    with pytest.raises(ValueError, match=r"write that address, HOST=::1$"):
        address_to_listen_on("six.example.org")


@pytest.mark.parametrize("host", ["nonsense", "x86_64-conda-linux-gnu", "a..b", "x" * 300, "127.0.0.1:5000"])
def test_what_is_no_name_is_refused(host: str, resolver: dict[str, list[str]]) -> None:
    """Conda's compilers set HOST."""
    with pytest.raises(ValueError, match="knows no such name"):
        address_to_listen_on(host)


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(preflight, "RESOLVE_SECONDS", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [over.wait(60)][1:])
    began = time.monotonic()
    try:
        with pytest.raises(ValueError, match="knows no such name"):
            address_to_listen_on("x86_64-conda-linux-gnu")
        assert time.monotonic() - began < 30
    finally:
        over.set()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A certificate with its key, another one's key, a key with a password, and files that are neither."""
    authority = trustme.CA()
    for name in ("own", "other"):
        issued = authority.issue_cert(f"{name}.example.org")
        issued.cert_chain_pems[0].write_to_path(str(tmp_path / f"{name}.pem"))
        issued.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
    key = load_pem_private_key((tmp_path / "own.key").read_bytes(), None)
    secret = BestAvailableEncryption(b"secret")
    (tmp_path / "locked.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    (tmp_path / "empty").touch()
    (tmp_path / "nonsense").write_text("nonsense")
    return tmp_path


@pytest.mark.parametrize(
    ("certificate", "key", "expected"),
    [
        ("own.pem", "own.key", {}),
        ("gone", "own.key", {"TLS_CERTIFICATE": "can't be read: No such file or directory"}),
        ("own.pem", "", {"TLS_KEY": "can't be read: Is a directory"}),
        ("empty", "gone", {"TLS_CERTIFICATE": "the file is empty", "TLS_KEY": "No such file or directory"}),
        ("nonsense", "own.key", {"TLS_CERTIFICATE": "holds no certificate in PEM form"}),
        ("own.key", "own.pem", {"TLS_CERTIFICATE": "holds no certificate in PEM form"}),
        ("own.pem", "nonsense", {"TLS_KEY": "holds no private key in PEM form"}),
        ("own.pem", "other.key", {"TLS_KEY": "is not the key of TLS_CERTIFICATE"}),
        ("own.pem", "locked.key", {"TLS_KEY": "has a password: give a key without one"}),
    ],
)
def test_files_that_can_not_be_used_for_tls_are_told(
    files: Path, certificate: str, key: str, expected: dict[str, str]
) -> None:
    problems = tls_problems(str(files / certificate), str(files / key))

    assert problems.keys() == expected.keys()
    assert all(text in problems[name] for name, text in expected.items())


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Addresses by name; nobody else is asked."""
    known: dict[str, list[str]] = {}

    def answer(name: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if name not in known:
            raise socket.gaierror
        return [(None, None, None, "", (address, 0)) for address in known[name]]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return known

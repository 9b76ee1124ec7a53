"""Sockets that are handed over, and notifications: what the two protocols say, and nothing without a supervisor."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import systemd
from common.systemd import NotAListener, notify, take_sockets

FIRST = 300  # descriptors that nobody else uses here, in place of those from 3 on


@pytest.fixture(autouse=True)
def handed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """Two listening sockets, of which the supervisor has its own copies."""
    monkeypatch.setattr(systemd, "FIRST_DESCRIPTOR", FIRST)
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    for place, listener in enumerate(listeners):
        os.dup2(listener.fileno(), FIRST + place)
    yield listeners
    for place, listener in enumerate(listeners):
        listener.close()
        if is_open(FIRST + place):
            os.close(FIRST + place)


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def tell(monkeypatch: pytest.MonkeyPatch, names: str, *, count: str = "2", process: int | None = None) -> None:
    """Set what a supervisor sets."""
    monkeypatch.setenv("LISTEN_PID", str(process or os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", count)
    monkeypatch.setenv("LISTEN_FDNAMES", names)


def test_a_socket_is_taken_by_its_name_and_stays_in_this_process(
    monkeypatch: pytest.MonkeyPatch, handed: list[socket.socket]
) -> None:
    tell(monkeypatch, "metrics:http")

    (taken,) = take_sockets("http")
    with taken:
        assert taken.getsockname() == handed[1].getsockname()
        assert not taken.get_inheritable()
    assert not {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} & os.environ.keys()


def test_several_of_one_name_are_taken_together(monkeypatch: pytest.MonkeyPatch, handed: list[socket.socket]) -> None:
    """One for IPv4 and one for IPv6, for example."""
    tell(monkeypatch, "http:http")

    taken = take_sockets("http")

    assert [each.getsockname() for each in taken] == [each.getsockname() for each in handed]
    for each in taken:
        each.close()


@pytest.mark.parametrize("names", ["metrics:other", "metrics", ""])
def test_sockets_of_other_names_are_closed_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], names: str
) -> None:
    tell(monkeypatch, names)

    assert take_sockets("http") == []
    assert not is_open(FIRST)
    assert not is_open(FIRST + 1)
    assert "socket_not_used" in capsys.readouterr().out


@pytest.mark.parametrize(("process", "count"), [(1, "2"), (None, "two"), (None, "0")])
def test_what_is_meant_for_another_process_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, process: int | None, count: str
) -> None:
    tell(monkeypatch, "http:http", count=count, process=process)

    assert take_sockets("http") == []
    assert is_open(FIRST)
    assert "LISTEN_PID" not in os.environ


def test_what_can_not_be_listened_on_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tell(monkeypatch, "http", count="1")
    with (tmp_path / "file").open("w") as file:
        os.dup2(file.fileno(), FIRST)

    with pytest.raises(NotAListener, match=r"descriptor 300, handed over as http, is no socket"):
        take_sockets("http")


def test_a_datagram_socket_is_no_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, "http", count="1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        os.dup2(other.fileno(), FIRST)

    with pytest.raises(NotAListener, match="no TCP socket"):
        take_sockets("http")


@pytest.mark.parametrize("address", ["notify", "@tallyho-test-notify"])
def test_a_supervisor_is_notified_at_a_path_or_an_abstract_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a path of a socket has to be short
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind(address.replace("@", "\0"))
        monkeypatch.setenv("NOTIFY_SOCKET", address)

        notify("READY=1", "STATUS=counting")
        systemd.status("waiting\nfor servers: away ")

        assert [inbox.recv(4096) for _ in range(2)] == [
            b"READY=1\nSTATUS=counting",
            b"STATUS=waiting for servers: away",
        ]


def test_without_a_supervisor_nothing_is_said_and_one_that_has_gone_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    assert capsys.readouterr().out == ""

    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("READY=1")
    assert "supervisor_not_notified" in capsys.readouterr().out

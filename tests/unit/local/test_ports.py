"""A taken port is told before anything starts, and phones are told where this machine is."""

import re
import socket

import pytest

from local import ports
from local.ports import free_port, own_addresses, port_advice, port_problem


def test_a_free_port_is_no_problem() -> None:
    assert port_problem("127.0.0.1", free_port("127.0.0.1")) is None


def test_a_taken_port_names_the_setting_and_a_port_that_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        advice = port_advice("127.0.0.1", port, setting="VOTE_PORT") or ""
    assert re.fullmatch(rf"port {port} is taken: set VOTE_PORT to another one, e\.g\. make up VOTE_PORT=\d+", advice)
    other = int(advice.rsplit("=", 1)[1])
    assert port_problem("127.0.0.1", other) is None


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_a_port_that_somebody_has_on_ipv6_is_taken() -> None:
    """`localhost` may mean ::1, where AirPlay on macOS has port 5000."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        assert port_problem("127.0.0.1", server.getsockname()[1]) == "is taken"


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("address", ["::1", "::"])
def test_a_port_on_ipv6_is_looked_at_as_well(address: str) -> None:
    assert port_problem(address, free_port(address)) is None


def test_the_last_port_of_all_has_another_one_offered_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "port_problem", lambda _, port: "is taken")

    assert re.search(r"VOTE_PORT=\d+$", port_advice("127.0.0.1", 65535, setting="VOTE_PORT") or "")


def test_the_addresses_for_phones_are_none_of_loopback_nor_of_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    interfaces = {"lo": "127.0.0.1", "eth0": "192.0.2.7", "docker0": "172.17.0.1", "wlan0": "198.51.100.3", "tun": None}
    monkeypatch.setattr(socket, "if_nameindex", lambda: list(enumerate(interfaces)))
    monkeypatch.setattr(ports, "_of", interfaces.get)

    assert own_addresses() == ["192.0.2.7", "198.51.100.3"]


def test_without_a_network_there_is_no_address_for_phones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo")])
    monkeypatch.setattr(ports, "_by_route", lambda: [])

    assert own_addresses() == []


def test_every_address_for_phones_is_one_of_this_machine() -> None:
    for address in own_addresses():
        assert port_problem(address, free_port(address)) is None

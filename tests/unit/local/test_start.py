"""What `make up` says before and after the start: ports that are taken, where the pages are, here and for phones."""

import re
import socket
from collections.abc import Callable, Mapping

import pytest

from common.settings import Settings
from local import ports, up
from local.ports import free_port, own_addresses, port_advice, port_problem
from local.up import welcome

URLS = {
    "postgres": "postgresql:///votes",
    "redis": "unix:///redis",
    "vote": "http://localhost:5000",
    "worker": "http://localhost:9100",
    "result": "http://localhost:5001",
}
PORTS = {"vote": 5000, "worker": 9100, "result": 5001}


def for_others(settings: Settings) -> list[Mapping[str, str]]:
    return list(up._for_others(settings, list(PORTS), PORTS))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A machine with these addresses in its networks."""
    return lambda *addresses: monkeypatch.setattr(up, "own_addresses", lambda: list(addresses))


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_who_listens_on_every_address_is_told_the_one_that_phones_need(machine: Callable[..., None], host: str) -> None:
    machine("192.0.2.7", "198.51.100.3")
    text = welcome(URLS, URLS, for_others(Settings(host=host)), seconds=1)

    here, others = text.split("for phones and other machines:")
    assert "vote at   http://localhost:5000" in here
    for address in ("192.0.2.7", "198.51.100.3"):
        assert f"vote at   http://{address}:5000" in others
        assert f"watch at  http://{address}:5001" in others
        assert f"look into http://{address}:5001/pipeline" in others
    assert "9100" not in text


def test_a_machine_with_nothing_but_ipv6_has_an_address_that_browsers_take(machine: Callable[..., None]) -> None:
    machine("fd00::2")

    assert for_others(Settings(host="::")) == [{"vote": "http://[fd00::2]:5000", "result": "http://[fd00::2]:5001"}]


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.7", "localhost"])
def test_who_listens_on_one_address_has_no_other_one(machine: Callable[..., None], host: str) -> None:
    machine("192.0.2.7")

    assert for_others(Settings(host=host)) == []


def test_without_a_network_there_is_nothing_to_tell_phones(machine: Callable[..., None]) -> None:
    machine()

    assert "phones" not in welcome(URLS, URLS, for_others(Settings(host="0.0.0.0")), seconds=1)


def test_an_address_that_somebody_has_set_is_the_one_for_others(machine: Callable[..., None]) -> None:
    machine("192.0.2.7")
    settings = Settings(host="0.0.0.0", vote_url="https://vote.example.org/")

    assert "    vote at   https://vote.example.org\n    watch at  http://192.0.2.7:5001\n" in welcome(
        URLS, URLS, for_others(settings), seconds=1
    )


def test_prometheus_is_in_the_welcome_where_it_runs() -> None:
    assert "graphs at http://localhost:9090" in welcome(URLS, URLS | {"prometheus": "http://localhost:9090"}, seconds=1)
    assert "graphs" not in welcome(URLS, URLS, seconds=1)


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
    monkeypatch.setattr(ports, "_address_of", interfaces.get)

    assert own_addresses() == ["192.0.2.7", "198.51.100.3"]


def test_without_a_network_there_is_no_address_for_phones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo")])
    monkeypatch.setattr(ports, "_by_route", lambda: [])

    assert own_addresses() == []


def test_every_address_for_phones_is_one_of_this_machine() -> None:
    for address in own_addresses():
        assert port_problem(address, free_port(address)) is None

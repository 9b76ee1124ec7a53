"""How many connections there may be: each limit, who is not under it, and what the log and the metrics say."""

import resource
from ipaddress import ip_network

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from common import connection_limits
from common.connection_limits import PLACES_KEPT, ConnectionLimiter
from common.settings import ConnectionLimits

HALL = "198.51.100.7"


@pytest.fixture(autouse=True)
def many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "most_by_files", lambda: 60_000)


def refused(limit: str) -> float:
    return REGISTRY.get_sample_value("connections_refused_total", {"limit": limit}) or 0


def fill(who: ConnectionLimiter, number: int, address: str = HALL) -> list[str | None]:
    return [who.admit(address) for _ in range(number)]


def test_one_too_many_from_an_address_is_refused_and_others_are_not() -> None:
    before = refused("address")
    who = ConnectionLimiter(ConnectionLimits(most=100, most_per_address=3))

    assert None not in fill(who, 3)
    assert who.admit(HALL) is None
    assert who.admit(f"::ffff:{HALL}") is None
    assert who.admit("198.51.100.8") is not None
    assert refused("address") == before + 2


def test_who_leaves_makes_room() -> None:
    who = ConnectionLimiter(ConnectionLimits(most_per_address=1))
    place = who.admit(HALL)
    assert place
    assert who.admit(HALL) is None

    who.leave(place)

    assert who.admit(HALL) == place


def test_a_network_of_64_bits_is_one_address() -> None:
    who = ConnectionLimiter(ConnectionLimits(most_per_address=1))

    assert who.admit("2001:db8::1")
    assert who.admit("2001:db8::2:3") is None
    assert who.admit("2001:db8:0:1::1")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", "fd00::1"])
def test_this_machine_and_trusted_proxies_have_no_limit_of_their_own(address: str) -> None:
    trusted = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    who = ConnectionLimiter(ConnectionLimits(most=100, most_per_address=1, trusted=trusted))

    assert fill(who, 100, address) == [""] * 100
    assert who.admit(HALL) is None


def test_health_checks_of_this_machine_have_places_that_nobody_else_can_take() -> None:
    before = refused("total")
    who = ConnectionLimiter(ConnectionLimits(most=10, trusted=(ip_network("10.0.0.0/8"),)))
    fill(who, 10)

    assert who.admit("203.0.113.1") is None
    assert who.admit("10.0.0.1") is None
    assert refused("total") == before + 2
    assert fill(who, PLACES_KEPT, "127.0.0.1") == [""] * PLACES_KEPT
    assert who.admit("127.0.0.1") is None


def test_there_are_never_more_than_there_are_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "most_by_files", lambda: 5)
    who = ConnectionLimiter(ConnectionLimits(most=100))

    assert fill(who, 6)[4:] == [HALL, None]


def test_a_process_of_200_files_keeps_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (200, 200))
    assert connection_limits.most_by_files() == 100


def test_a_hall_of_2000_phones_behind_one_address_fits() -> None:
    """Each has the dashboard's WebSocket and two connections that load its page, all at once."""
    from common.settings import Settings

    assert None not in fill(ConnectionLimiter(Settings().connection_limits), 3 * 2000)


def test_the_log_has_a_line_when_a_limit_is_reached_and_one_when_there_is_room() -> None:
    who = ConnectionLimiter(ConnectionLimits(most=20, most_per_address=10))
    with capture_logs() as lines:
        fill(who, 100)
        fill(who, 100, "203.0.113.1")
        for _ in range(5):
            who.leave(HALL)
        fill(who, 4)

    said = [(line["event"], line["limit"]) for line in lines]
    assert said == [
        ("connections_full", HALL),
        ("connections_full", "total"),
        ("connections_have_room", HALL),
        ("connections_have_room", "total"),
    ]

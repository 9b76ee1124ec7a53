"""A taken port is told before anything starts."""

import socket

import pytest

from local.errors import LocalError
from local.ports import check_port, free_port, port_problem


def test_a_free_port_is_no_problem() -> None:
    assert port_problem("127.0.0.1", free_port("127.0.0.1")) is None


def test_a_taken_port_names_the_setting_and_a_port_that_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(
            LocalError, match=rf"^port {port} is taken: set VOTE_PORT .* make up VOTE_PORT=\d+$"
        ) as error:
            check_port("127.0.0.1", port, setting="VOTE_PORT")
    other = int(str(error.value).rsplit("=", 1)[1])
    assert port_problem("127.0.0.1", other) is None


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_a_port_that_somebody_has_on_ipv6_is_taken() -> None:
    """`localhost` may mean ::1, where AirPlay on macOS has port 5000."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        assert port_problem("127.0.0.1", server.getsockname()[1]) == "is taken"

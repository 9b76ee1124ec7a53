"""What a vote service reports in the name of a connection is read as it was meant, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.presence import MOST_SHOWN, VoteService, connection_name, vote_services_among

COUNTS = st.integers(0, 999_999_999)


@given(st.from_regex(r"[a-zA-Z0-9.-]{1,63}:[0-9]{1,7}", fullmatch=True), COUNTS, COUNTS, COUNTS, st.integers(0, 10**6))
def test_what_is_said_is_read(name: str, accepted: int, refused: int, unrecorded: int, silent: int) -> None:
    said = VoteService(name, accepted, refused, unrecorded, silent)

    assert vote_services_among([{"name": connection_name(said), "idle": str(silent)}]) == (said,)


@given(st.text(max_size=300))
def test_any_host_makes_a_name_that_redis_takes(host: str) -> None:
    name = connection_name(VoteService(host, 1, 2, 3))

    assert all("!" <= character <= "~" for character in name)
    assert len(name) < 200


@pytest.mark.parametrize(
    "name",
    [
        *("", "push-0123", "vote-service", "vote-service/a:1", "vote-service/a:1/1/2", "vote-service/a:1/1/2/3/4"),
        *("vote-service//1/2/3", "vote-service/a:1/-1/2/3", "vote-service/a:1/1/2/x", "vote-service/a b/1/2/3"),
        f"vote-service/{'x' * 101}/1/2/3",
        f"vote-service/a:1/{'9' * 10}/2/3",
        "xvote-service/a:1/1/2/3",
    ],
)
def test_other_clients_of_redis_are_no_vote_services(name: str) -> None:
    assert vote_services_among([{"name": name, "idle": "0"}, {}]) == ()


def test_of_very_many_only_some_are_shown() -> None:
    clients = [{"name": f"vote-service/host:{number}/0/0/0", "idle": "0"} for number in range(MOST_SHOWN * 2)]

    assert len(vote_services_among(clients)) == MOST_SHOWN

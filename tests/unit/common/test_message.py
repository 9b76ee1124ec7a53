"""The queue's messages: any input is either a vote or a MalformedVote."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.message import MAX_NUMBER, MalformedVote, Vote, decode, encode

voter_ids = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=255)
options = st.sampled_from("abcdefghijklmnopqrstuvwxyz")
cast_times = st.none() | st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))
votes = st.builds(Vote, voter_ids, options, cast_times) | st.builds(
    Vote, voter_ids, options, cast_times, series=st.integers(0, MAX_NUMBER), number=st.integers(1, MAX_NUMBER)
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(votes)
def test_a_vote_survives_the_queue(vote: Vote) -> None:
    assert decode(encode(vote)) == vote


@given(st.binary())
def test_any_bytes_are_a_vote_or_malformed(message: bytes) -> None:
    try:
        vote = decode(message)
    except MalformedVote:
        return
    assert isinstance(vote, Vote)


fields_of_a_vote = dict.fromkeys(["voter_id", "vote", "cast_at", "series", "number"], json_values)


@given(st.fixed_dictionaries({}, optional=fields_of_a_vote))
def test_any_json_is_a_vote_that_can_be_stored_or_malformed(fields: dict[str, Any]) -> None:
    try:
        vote = decode(json.dumps(fields).encode())
    except MalformedVote:
        return
    assert vote.voter_id.encode()
    assert len(vote.voter_id) <= 255
    assert "\0" not in vote.voter_id
    assert len(vote.option) == 1
    assert 0 <= vote.series <= MAX_NUMBER
    assert vote.number is None or 1 <= vote.number <= MAX_NUMBER


@given(voter_ids, options, st.dictionaries(st.sampled_from(["trace", "ip", "x"]), json_values))
def test_unknown_fields_are_ignored(voter_id: str, option: str, more: dict[str, Any]) -> None:
    message = json.dumps({"voter_id": voter_id, "vote": option, **more}).encode()

    assert decode(message) == Vote(voter_id, option, None)


@pytest.mark.parametrize("cast_at", [1e300, -1e300, float("nan"), float("inf"), True, "1", [], {}])
def test_a_time_that_is_none_is_malformed(cast_at: object) -> None:
    with pytest.raises(MalformedVote, match="cast_at"):
        decode(json.dumps({"voter_id": "v", "vote": "a", "cast_at": cast_at}).encode())


@pytest.mark.parametrize(
    "message",
    [
        b'{"voter_id": "v", "vote": "a", "traceparent": 7}',
        b'{"voter_id": "v", "vote": "a", "cast_at": null}',
        '{"voter_id": "v", "vote": "a"}'.encode("utf-16"),
        b'{"voter_id": "other", "vote": "b", "voter_id": "v", "vote": "a", "x": NaN}',
    ],
)
def test_an_unusual_message_is_a_vote_as_well(message: bytes) -> None:
    assert decode(message) == Vote("v", "a", None)


def test_a_number_and_a_series_are_kept_and_may_be_missing() -> None:
    assert decode(b'{"voter_id": "v", "vote": "a", "series": 0, "number": 1}') == Vote("v", "a", None, number=1)
    assert decode(b'{"voter_id": "v", "vote": "a", "number": 2147483647}') == Vote("v", "a", None, number=2147483647)
    assert decode(b'{"voter_id": "v", "vote": "a", "series": null, "number": null}') == Vote("v", "a", None)
    assert b"number" not in encode(Vote("v", "a", None))


@pytest.mark.parametrize("more", [{}, {"traceparent": 7}])  # as our own vote service writes it, and otherwise
@pytest.mark.parametrize("value", [-1, 2**31, 10**400, 1.0, 1.5, True, False, "1", [], {}])
@pytest.mark.parametrize("name", ["series", "number"])
def test_what_is_no_whole_number_in_its_range_is_malformed(name: str, value: object, more: dict[str, object]) -> None:
    with pytest.raises(MalformedVote, match=f"{name} is not a whole number from . to 2147483647"):
        decode(json.dumps({"voter_id": "v", "vote": "a", name: value, **more}).encode())


def test_numbers_begin_at_1() -> None:
    with pytest.raises(MalformedVote, match="number is not a whole number"):
        decode(b'{"voter_id": "v", "vote": "a", "number": 0}')


def test_half_a_surrogate_pair_is_malformed() -> None:
    with pytest.raises(MalformedVote, match="can't be stored"):
        decode(b'{"voter_id": "\\ud800", "vote": "a"}')


def test_the_reason_names_the_field() -> None:
    with pytest.raises(MalformedVote, match="voter_id"):
        decode(b'{"vote": "a"}')
    with pytest.raises(MalformedVote, match="vote is not"):
        decode(b'{"voter_id": "v", "vote": "ab"}')

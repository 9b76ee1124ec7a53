"""What a batch means: of each voter what counts, and replays that change nothing."""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from common.message import Vote, encode
from common.vote_queue import Peek
from worker.batch import Batch, fold, read

# few voters, series and numbers, so that they repeat
voters = st.sampled_from("uvwx")
unnumbered = st.builds(Vote, voters, st.sampled_from("abc"), st.none())
numbered = st.builds(
    Vote,
    voters,
    st.sampled_from("abc"),
    st.sampled_from([None, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)]),
    series=st.integers(0, 1),
    number=st.integers(1, 4),
)
votes = st.lists(unnumbered | numbered, max_size=30)


class Row(NamedTuple):
    """A voter's row in the table of votes, as the model of these tests keeps it."""

    option: str
    cast_at: datetime | None
    series: int | None
    number: int | None


tables = st.dictionaries(
    voters,
    st.builds(Row, st.sampled_from("abc"), st.none(), st.just(None), st.just(None))
    | st.builds(Row, st.sampled_from("abc"), st.none(), st.integers(0, 1), st.integers(1, 4)),
)


def apply(table: dict[str, Row], queue: Iterable[Vote]) -> dict[str, Row]:
    """The rule, vote by vote: of two numbers of one series the higher stays, otherwise the later vote."""
    table = dict(table)
    for vote in queue:
        row = table.get(vote.voter_id)
        comparable = row is not None and vote.number is not None and row.number is not None
        if comparable and row.series == vote.series and vote.number < row.number:  # type: ignore[union-attr, operator]
            continue
        if vote.number is not None:
            table[vote.voter_id] = Row(vote.option, vote.cast_at, vote.series, vote.number)
        else:  # keeps the row's number
            series, number = (row.series, row.number) if row else (None, None)
            table[vote.voter_id] = Row(vote.option, vote.cast_at, series, number)
    return table


def record(table: dict[str, Row], queue: list[Vote]) -> dict[str, Row]:
    """What recording a batch does to the table of votes."""
    rounds, _ = fold(queue)
    for each in rounds:
        assert len({vote.voter_id for vote in each}) == len(each)  # an upsert takes no row twice
        table = apply(table, each)
    return table


@given(tables, votes)
def test_recording_a_batch_does_to_any_row_what_its_votes_do_one_after_the_other(
    table: dict[str, Row], queue: list[Vote]
) -> None:
    assert record(table, queue) == apply(table, queue)


@given(tables, votes, st.lists(st.tuples(st.integers(1, 10), st.booleans()), max_size=20))
def test_replays_of_any_prefix_end_in_the_same_state(
    table: dict[str, Row], queue: list[Vote], batches: list[tuple[int, bool]]
) -> None:
    """Workers that die after the commit and before they settle leave what one that never dies leaves."""
    expected = apply(table, queue)
    settled = 0
    for size, dies in [*batches, *[(10, False)] * len(queue)]:
        table = record(table, queue[settled : settled + size])
        settled += 0 if dies else size

    assert table == expected


@given(votes)
def test_every_vote_is_recorded_or_followed_by_another_or_outdated(queue: list[Vote]) -> None:
    batch = Batch.of(Peek(0, [encode(vote) for vote in queue]))

    assert batch.votes == queue
    assert batch.outdated <= len(queue) - batch.to_record
    if all(vote.number is None for vote in queue):
        assert batch.outdated == 0
        assert batch.to_record == len({vote.voter_id for vote in queue})


@given(votes)
def test_the_rows_are_locked_in_one_order_and_all_of_them_at_once(queue: list[Vote]) -> None:
    rounds = [[vote.voter_id for vote in each] for each in fold(queue)[0]]

    assert all(ids == sorted(ids) for ids in rounds)
    assert all(set(after) <= set(before) for before, after in itertools.pairwise(rounds))


def test_one_voter_that_alternates_costs_the_others_no_round() -> None:
    alternating = [Vote("v", "a", None, number=1), Vote("v", "b", None)] * 5
    others = [Vote(f"other {number}", "a", None, number=1) for number in range(10)]

    rounds, outdated = fold([*alternating, *others])

    assert [len(each) for each in rounds] == [11] + [1] * 9
    assert outdated == 0


@given(votes, st.lists(st.binary(max_size=20), max_size=5), st.randoms(use_true_random=False))
def test_nonsense_between_the_votes_changes_none_of_them(queue: list[Vote], nonsense: list[bytes], rng: object) -> None:
    messages = [encode(vote) for vote in queue]
    for item in nonsense:
        messages.insert(rng.randint(0, len(messages)), item)  # type: ignore[attr-defined]

    understood, rejected = read(messages)

    assert understood == queue
    assert sorted(message for message, _ in rejected) == sorted(nonsense)

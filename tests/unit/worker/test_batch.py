"""What a batch means: the last vote per voter, and replays that change nothing."""

from hypothesis import given
from hypothesis import strategies as st

from common.message import Vote, encode
from worker.batch import last_vote_per_voter, read

# few voters, so that they repeat
votes = st.lists(st.builds(Vote, st.sampled_from("uvwxyz"), st.sampled_from("abc"), st.none()), max_size=40)


def apply(table: dict[str, str], batch: list[Vote]) -> dict[str, str]:
    """What recording a batch does to the table of votes."""
    return table | {vote.voter_id: vote.option for vote in last_vote_per_voter(batch)}


@given(votes)
def test_each_voter_is_in_a_batch_once_with_its_last_vote(queue: list[Vote]) -> None:
    batch = last_vote_per_voter(queue)

    assert len({vote.voter_id for vote in batch}) == len(batch)
    assert {vote.voter_id: vote.option for vote in batch} == {vote.voter_id: vote.option for vote in queue}


@given(votes)
def test_the_rows_are_locked_in_one_order(queue: list[Vote]) -> None:
    ids = [vote.voter_id for vote in last_vote_per_voter(queue)]

    assert ids == sorted(ids)


@given(votes, st.lists(st.tuples(st.integers(1, 10), st.booleans()), max_size=20))
def test_replays_of_any_prefix_end_in_the_same_state(queue: list[Vote], batches: list[tuple[int, bool]]) -> None:
    """Workers that die after the commit and before they settle leave what one that never dies leaves."""
    table: dict[str, str] = {}
    settled = 0
    for size, dies in [*batches, *[(10, False)] * len(queue)]:
        table = apply(table, queue[settled : settled + size])
        settled += 0 if dies else size

    assert table == {vote.voter_id: vote.option for vote in queue}


@given(votes, st.lists(st.binary(max_size=20), max_size=5), st.randoms(use_true_random=False))
def test_nonsense_between_the_votes_changes_none_of_them(queue: list[Vote], nonsense: list[bytes], rng: object) -> None:
    messages = [encode(vote) for vote in queue]
    for item in nonsense:
        messages.insert(rng.randint(0, len(messages)), item)  # type: ignore[attr-defined]

    understood, rejected = read(messages)

    assert understood == queue
    assert sorted(message for message, _ in rejected) == sorted(nonsense)

"""Which of its votes a voter's row may show: the rule, and a queue and a table that keep it, or break it."""

import random
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proof.audit import Row, judge_answers, judge_history, judge_numbers
from proof.ledger import Cast, Outcome
from proof.register import last_possible, stays_over

ACCEPTED, REFUSED, IN_DOUBT = Outcome.ACCEPTED, Outcome.REFUSED, Outcome.IN_DOUBT
NEVER = float("inf")


def cast(
    option: str,
    sent: int,
    answered: float,
    outcome: Outcome = ACCEPTED,
    *,
    number: int | None = None,
    service: str = "",
) -> Cast:
    return Cast("ann", option, sent, answered, outcome, number=number, service=service)


def possible(*casts: Cast) -> set[str]:
    return {one.option for one in last_possible(casts)}


def test_a_vote_in_doubt_before_an_accepted_one_never_wins() -> None:
    assert possible(cast("a", 1, 2, IN_DOUBT), cast("b", 3, 4)) == {"b"}


def test_a_vote_in_doubt_after_an_accepted_one_may_win() -> None:
    assert possible(cast("a", 1, 2), cast("b", 3, 4, IN_DOUBT)) == {"a", "b"}


def test_of_two_votes_at_once_either_may_win_unless_they_are_numbered() -> None:
    assert possible(cast("a", 1, 3), cast("b", 2, 4)) == {"a", "b"}
    assert possible(cast("a", 1, 3, number=7), cast("b", 2, 4, number=7)) == {"a", "b"}
    assert possible(cast("a", 1, 3, number=8), cast("b", 2, 4, number=7)) == {"a"}


def test_a_refused_vote_never_wins() -> None:
    assert possible(cast("a", 1, 2), cast("b", 3, 4, REFUSED, number=9)) == {"a"}


def test_a_vote_that_was_given_up_may_come_late_but_not_over_a_higher_number() -> None:
    assert possible(cast("a", 1, NEVER, IN_DOUBT), cast("b", 3, 4)) == {"a", "b"}
    assert possible(cast("a", 1, NEVER, IN_DOUBT, number=1), cast("b", 3, 4, number=2)) == {"b"}


def test_a_vote_in_doubt_at_one_service_may_come_after_one_accepted_at_another_unless_they_are_numbered() -> None:
    first, second = cast("a", 1, 2, IN_DOUBT, service="A"), cast("b", 3, 4, service="B")
    assert possible(first, second) == {"a", "b"}
    assert possible(replace(first, number=1), replace(second, number=2)) == {"b"}
    assert possible(replace(first, outcome=ACCEPTED), second) == {"b"}


def test_a_vote_without_a_number_says_nothing_of_one_with_a_number() -> None:
    """It leaves the row's number as it is, so a third vote between them may be refused by it."""
    assert possible(cast("a", 1, 2, number=5), cast("b", 3, 4), cast("c", 5, 6, number=4)) == {"a", "b"}


@given(st.lists(st.sampled_from(Outcome), min_size=1, max_size=10))
def test_of_votes_one_after_the_other_the_last_accepted_and_those_in_doubt_after_it_may_win(
    outcomes: list[Outcome],
) -> None:
    expected: set[str] = set()
    for place, outcome in enumerate(outcomes):
        if outcome is ACCEPTED:
            expected = {str(place)}
        elif outcome is IN_DOUBT:
            expected.add(str(place))
    votes = [cast(str(place), 2 * place, 2 * place + 1, outcome) for place, outcome in enumerate(outcomes)]
    assert possible(*votes) == expected


def record(queue: Iterable[Cast], *, heeds_numbers: bool = True) -> list[Cast]:
    """What the row of a voter shows, vote by vote, in a table that keeps the rule of recording."""
    row, number, shown = None, None, []
    for vote in queue:
        known = heeds_numbers and number is not None and vote.number is not None
        if not known or vote.number >= number:  # type: ignore[operator]  # both are known
            row, number = vote, vote.number if vote.number is not None else number
        shown.append(row or vote)
    return shown


def numbered_votes(rng: random.Random) -> tuple[list[Cast], list[Cast]]:
    """Votes of an impatient voter, and those that come to the queue, in any order."""
    outcomes = [rng.choice(list(Outcome)) for _ in range(rng.randint(1, 8))]
    votes = [cast(str(place), place, NEVER, one, number=place + 1) for place, one in enumerate(outcomes)]
    arriving = [vote for vote in votes if vote.outcome is ACCEPTED or (vote.outcome is IN_DOUBT and rng.random() < 0.5)]
    return votes, rng.sample(arriving, len(arriving))


@given(st.randoms(use_true_random=False))
def test_a_table_that_heeds_the_numbers_passes_in_whatever_order_the_votes_arrive(rng: random.Random) -> None:
    votes, queue = numbered_votes(rng)
    shown = record(queue)
    assert judge_history(votes, rows(shown)) == []
    if shown:
        assert shown[-1] in last_possible(votes)


def test_a_table_that_ignores_the_numbers_is_caught() -> None:
    wrong = 0
    for seed in range(100):
        votes, queue = numbered_votes(random.Random(seed))
        shown = record(queue, heeds_numbers=False)
        went_back = judge_history(votes, rows(shown))
        assert bool(went_back) == any(not stays_over(b, a) for a, b in pairwise(shown))
        if shown and shown[-1] not in last_possible(votes):
            wrong += 1
            assert went_back or len(shown) == 1
    assert wrong > 10


def rows(shown: Iterable[Cast]) -> list[Row]:
    return [Row(str(vote.voter), vote.option, None) for vote in shown]


def test_a_row_that_goes_back_for_a_moment_is_found() -> None:
    votes = [cast("a", 1, 2), cast("b", 3, 4)]
    assert judge_history(votes, rows([votes[0], votes[0], votes[1], votes[1]])) == []
    (wrong,) = judge_history(votes, rows([*votes, *votes]))
    assert wrong == "went back: voter ann had b (in doubt), and then a (in doubt)"


def test_a_row_that_shows_a_refused_vote_is_found() -> None:
    votes = [cast("a", 1, 2), cast("b", 3, 4, REFUSED)]
    (wrong,) = judge_history(votes, rows(votes))
    assert "b (cast at an unknown time), a vote that was refused or never cast" in wrong
    assert judge_history(votes, [Row("somebody else", "z", None)]) == []


def test_a_ballot_without_a_higher_number_than_the_one_before_is_found() -> None:
    votes = [cast("a", 1, 2, number=1), cast("b", 3, 4), cast("c", 5, 6, number=3)]
    assert judge_numbers(votes) == []
    assert judge_numbers([*votes, cast("d", 7, 8, number=3)]) == ["unordered: voter ann had number 3, and then 3"]


@pytest.mark.parametrize("answer", ["500", "404", "429", "403"])
def test_an_answer_that_a_good_vote_never_gets_is_found(answer: str) -> None:
    votes = [replace(cast("a", 1, 2), answer=each) for each in ("202", "303", "503", "ReadError", answer)]
    (wrong,) = judge_answers(votes, limit_per_voter=300)
    assert answer in wrong


def test_a_voter_is_told_to_slow_down_only_if_it_sent_more_than_it_may() -> None:
    votes = [replace(cast("a", 1, 2), answer=answer) for answer in ("303", "303", "429")]
    assert judge_answers(votes, limit_per_voter=2) == []
    assert judge_answers(votes, limit_per_voter=3) == ["1 votes were answered with 429, though all were good votes"]

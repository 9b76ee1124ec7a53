"""The audit finds what a broken system would do to the votes."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.drill.audit import Found, audit, possible_choices
from tests.drill.ledger import Cast, Outcome

ACCEPTED, REFUSED, IN_DOUBT = Outcome.ACCEPTED, Outcome.REFUSED, Outcome.IN_DOUBT


def cast(option: str, sent: int, answered: float, outcome: Outcome = ACCEPTED, voter: str | None = "ann") -> Cast:
    return Cast(voter, option, sent, answered, outcome)


# ann changed her mind, bob voted once
CASTS = [cast("a", 1, 2), cast("b", 3, 4), cast("c", 5, 6, voter="bob")]
RIGHT = Found(
    votes=[("ann", "b"), ("bob", "c")],
    tallies={"b": 1, "c": 1},
    waiting=0,
    rejected=0,
    settled=3,
    shown_total=2,
)


def test_nothing_is_wrong_when_every_last_vote_is_there() -> None:
    assert audit(CASTS, RIGHT) == []


def test_a_lost_vote_is_found() -> None:
    found = replace(RIGHT, votes=[("ann", "b")], tallies={"b": 1}, shown_total=1)
    assert audit(CASTS, found) == ["voter bob: the accepted vote is lost; it should be c"]


def test_a_vote_that_was_brought_back_is_found() -> None:
    found = replace(RIGHT, votes=[("ann", "a"), ("bob", "c")], tallies={"a": 1, "c": 1})
    assert audit(CASTS, found) == ["voter ann: the table has a (its vote 1 of 2); it should be b"]


def test_a_vote_nobody_cast_is_found() -> None:
    found = replace(RIGHT, votes=[("ann", "z"), ("bob", "c")], tallies={"z": 1, "c": 1})
    assert audit(CASTS, found) == ["voter ann: the table has z (a vote it never cast); it should be b"]


def test_a_voter_counted_twice_is_found() -> None:
    found = replace(RIGHT, votes=[*RIGHT.votes, ("bob", "c")], tallies={"b": 1, "c": 2}, shown_total=3)
    assert audit(CASTS, found) == ["voter bob has 2 rows: ['c', 'c']"]


def test_a_row_of_nobody_is_found() -> None:
    found = replace(RIGHT, votes=[*RIGHT.votes, ("eve", "c")], tallies={"b": 1, "c": 2}, shown_total=3)
    assert audit(CASTS, found) == ["1 rows for c are of voters nobody knows"]


def test_a_vote_in_doubt_of_a_voter_without_a_name_may_be_a_row_of_nobody() -> None:
    found = replace(RIGHT, votes=[*RIGHT.votes, ("eve", "c")], tallies={"b": 1, "c": 2}, shown_total=3)
    assert audit([*CASTS, cast("c", 7, 8, IN_DOUBT, voter=None)], found) == []
    assert audit([*CASTS, cast("d", 7, 8, IN_DOUBT, voter=None)], found) != []
    assert audit([*CASTS, cast("c", 7, 8, REFUSED, voter=None)], found) != []


def test_a_tally_that_is_not_the_recount_is_found() -> None:
    found = replace(RIGHT, tallies={"b": 2, "c": 1, "d": 0})
    assert audit(CASTS, found) == ["tallies differ from a recount, (tally, recount): {'b': (2, 1), 'd': (0, 0)}"]


def test_a_dashboard_that_shows_another_total_is_found() -> None:
    assert audit(CASTS, replace(RIGHT, shown_total=3)) == ["the dashboard shows 3 votes, a recount finds 2"]


def test_votes_left_in_the_queue_or_rejected_are_found() -> None:
    found = audit(CASTS, replace(RIGHT, waiting=1, rejected=2))
    assert found == ["1 votes are left in the queue", "2 messages were rejected"]


def test_votes_that_were_settled_too_often_or_never_are_found() -> None:
    doubtful = [*CASTS, cast("c", 7, 8, IN_DOUBT, voter="bob")]
    assert [settled for settled in range(7) if not audit(doubtful, replace(RIGHT, settled=settled))] == [3, 4]


def test_an_answer_that_a_good_vote_never_gets_is_found() -> None:
    odd = [replace(cast("c", 7, 8, IN_DOUBT, voter="bob"), answer="500")]
    assert audit([*CASTS, *odd], RIGHT) == ["1 votes were answered with 500, though all were good votes"]


def test_a_voter_who_is_taken_for_another_is_found() -> None:
    mistaken = replace(CASTS[2], taken_for="ann")
    assert audit([*CASTS[:2], mistaken], RIGHT) == ["voter bob was taken for ann"]


def test_a_vote_in_doubt_before_an_accepted_one_never_wins() -> None:
    assert possible_choices([cast("a", 1, 2, IN_DOUBT), cast("b", 3, 4)]) == {"b"}


def test_a_vote_in_doubt_after_an_accepted_one_may_win() -> None:
    assert possible_choices([cast("a", 1, 2), cast("b", 3, 4, IN_DOUBT)]) == {"a", "b"}


def test_of_two_votes_at_once_either_may_win() -> None:
    assert possible_choices([cast("a", 1, 3), cast("b", 2, 4)]) == {"a", "b"}


def test_a_refused_vote_never_wins() -> None:
    assert possible_choices([cast("a", 1, 2), cast("b", 3, 4, REFUSED)]) == {"a"}


def test_a_voter_whose_votes_are_all_in_doubt_may_have_no_row() -> None:
    assert possible_choices([cast("a", 1, 2, IN_DOUBT)]) == {"a", None}


@given(st.lists(st.sampled_from(Outcome), min_size=1, max_size=10))
def test_of_votes_one_after_the_other_the_last_accepted_and_those_in_doubt_after_it_may_win(
    outcomes: list[Outcome],
) -> None:
    casts = [cast(str(place), 2 * place, 2 * place + 1, outcome) for place, outcome in enumerate(outcomes)]
    expected: set[str | None] = {None}
    for place, outcome in enumerate(outcomes):
        if outcome is ACCEPTED:
            expected = {str(place)}
        elif outcome is IN_DOUBT:
            expected.add(str(place))
    assert possible_choices(casts) == expected

"""The audit without a load, with facts that are written down: what it calls wrong, and what it only mentions."""

import pytest

from loadtest.standing import (
    Check,
    Queue,
    Table,
    agrees,
    is_good,
    judge_dashboard,
    judge_ledger,
    judge_queue,
    judge_rejected,
    judge_tallies,
    judge_voters,
    verdict,
)
from proof.audit import Report


def table(a: int, b: int, *, tallies: dict[str, int] | None = None, voters: int | None = None) -> Table:
    recount = {"a": a, "b": b}
    return Table(recount, recount if tallies is None else tallies, a + b, a + b if voters is None else voters)


@pytest.mark.parametrize(
    ("queue", "holds", "words"),
    [
        (Queue(0, 0, 0, 0.0), True, "empty"),
        (Queue(1200, 0, 1200, 0.5), True, "1,200 votes waited at first"),
        (Queue(1200, 200, 5000, 30.0), True, "draining: 200 votes waiting, 5,000 counted in 30 s"),
        (Queue(5, 1, 0, 30.0), False, "1 vote waiting, and none was counted in 30 s"),
    ],
)
def test_a_queue_is_wrong_only_if_nobody_counts(queue: Queue, holds: bool, words: str) -> None:
    check = judge_queue(queue)

    assert check.holds is holds
    assert words in check.words


def test_tallies_that_differ_from_a_recount_are_wrong() -> None:
    assert judge_tallies(table(3, 2)).holds
    assert judge_tallies(Table({"a": 3}, {"a": 3, "c": 0}, 3, 3)).holds
    check = judge_tallies(table(3, 2, tallies={"a": 3, "b": 1}))
    assert check.holds is False
    assert "{'b': (1, 2)}" in check.words


def test_a_voter_with_two_votes_is_wrong() -> None:
    assert judge_voters(table(3, 2)).holds
    assert judge_voters(table(3, 2, voters=4)).holds is False


@pytest.mark.parametrize(
    ("before", "shown", "after", "right"),
    [
        (table(3, 2), {"a": 3, "b": 2, "c": 0}, table(3, 2), True),
        (table(3, 2), {"a": 2, "b": 3}, table(3, 2), False),
        (table(3, 2), {"a": 2, "b": 4}, table(2, 5), True),  # somebody changed a vote, others came
        (table(3, 2), {"a": 2, "b": 2}, table(2, 5), False),
        (table(3, 2), {"a": 9, "b": 2}, table(4, 2), False),
    ],
)
def test_a_dashboard_agrees_also_while_votes_are_counted(
    before: Table, shown: dict[str, int], after: Table, right: bool
) -> None:
    assert agrees(before, shown, after) is right
    assert judge_dashboard(shown, after, right=right).holds is right


def test_rejected_messages_are_told_with_their_reasons_and_are_no_failure() -> None:
    assert judge_rejected(0, []).holds
    check = judge_rejected(2, ["not JSON", "no voter"])
    assert check.holds is None
    assert "2 messages; the last: not JSON; no voter" in check.words


def test_a_load_test_whose_votes_are_gone_is_wrong() -> None:
    assert judge_ledger("run", Report(confirmed=7)).holds
    assert judge_ledger("run", Report(confirmed=6, problems=["lost: voter v"])).holds is False


def test_one_wrong_check_fails_the_audit_and_notes_alone_do_not_pass_it() -> None:
    good, wrong, note = (Check("name", holds, "") for holds in (True, False, None))

    assert is_good([good, note])
    assert not is_good([good, wrong])
    assert not is_good([note])
    assert "set REDIS_URL" in verdict([note])
    assert verdict([good, wrong]) == "FOUND WRONG: name"

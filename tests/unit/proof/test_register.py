"""The register: which votes of a voter may be its last, from what the ledger says."""

import math
from dataclasses import replace
from pathlib import Path

from proof.ledger import Cast, Ledger, Outcome, open_ledger, read_ledger
from proof.register import read_register


def note(ledger: Ledger, option: str, outcome: Outcome | None, *, sent: int | None = None) -> int:
    number = ledger.send("v", option) if sent is None else sent
    if outcome is not None:
        ledger.answer(number, outcome, "", voter=None)
    return number


def possible(folder: Path) -> set[str]:
    return {cast.option for cast in read_register(folder).voters["v"]}


def test_the_last_accepted_vote_is_the_one(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "ledger-1.jsonl") as ledger:
        for option in "abc":
            note(ledger, option, Outcome.ACCEPTED)
        note(ledger, "d", Outcome.REFUSED)

    assert possible(tmp_path) == {"c"}


def test_a_vote_in_doubt_or_in_flight_may_be_the_last(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "ledger-1.jsonl") as ledger:
        note(ledger, "a", Outcome.IN_DOUBT)
        note(ledger, "b", Outcome.ACCEPTED)
        note(ledger, "c", Outcome.IN_DOUBT)
        note(ledger, "d", None)

    assert possible(tmp_path) == {"b", "c", "d"}


def test_of_two_votes_at_once_either_may_be_the_last(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "ledger-1.jsonl") as ledger:
        first, second = ledger.send("v", "a"), ledger.send("v", "b")
        note(ledger, "b", Outcome.ACCEPTED, sent=second)
        note(ledger, "a", Outcome.ACCEPTED, sent=first)

    assert possible(tmp_path) == {"a", "b"}


def test_of_two_numbered_votes_at_once_the_higher_is_the_last_whichever_is_answered_first(
    tmp_path: Path,
) -> None:
    with open_ledger(tmp_path / "ledger-1.jsonl") as ledger:
        lower, higher = ledger.send("v", "a", number=1), ledger.send("v", "b", number=2)
        note(ledger, "b", Outcome.ACCEPTED, sent=higher)
        note(ledger, "a", Outcome.ACCEPTED, sent=lower)

    assert possible(tmp_path) == {"b"}


def test_the_ledger_gives_back_every_vote(tmp_path: Path) -> None:
    path = tmp_path / "ledger-1.jsonl"
    with open_ledger(path) as ledger:
        first = ledger.send("ann", "a", number=7, service="A")
        second = ledger.send(None, "b")
        ledger.answer(second, Outcome.ACCEPTED, "202", voter="bob", cast_at="now")
        ledger.answer(first, Outcome.IN_DOUBT, "ReadError")
        ledger.give_up(ledger.send("ann", "c"), "ReadTimeout")
        ledger.send("ann", "d")
        assert (ledger.sent, ledger.under_way, dict(ledger.outcomes)) == (4, 1, {"accepted": 1, "in doubt": 2})
    in_doubt = Outcome.IN_DOUBT
    assert [replace(cast, sent_at=-math.inf, answered_at=math.inf) for cast in read_ledger(path)] == [
        Cast("ann", "a", sent=1, answered=4, outcome=in_doubt, answer="ReadError", number=7, service="A"),
        Cast("bob", "b", sent=2, answered=3, outcome=Outcome.ACCEPTED, answer="202", taken_for="bob", cast_at="now"),
        Cast("ann", "c", sent=5, answered=math.inf, outcome=in_doubt, answer="ReadTimeout"),
        Cast("ann", "d", sent=7, answered=math.inf, outcome=in_doubt),
    ]


def test_the_register_holds_few_votes_of_each_voter(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "ledger-1.jsonl") as ledger:
        for number in range(1000):
            note(ledger, "ab"[number % 2], Outcome.ACCEPTED)

    assert len(read_register(tmp_path).voters["v"]) == 1


def test_a_line_that_a_crash_cut_off_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger-1.jsonl"
    with open_ledger(path) as ledger:
        note(ledger, "a", Outcome.ACCEPTED)
    with path.open("a") as file:
        file.write('{"event":"se')

    assert possible(tmp_path) == {"a"}

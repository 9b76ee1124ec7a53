"""The register: which votes of a voter may be its last, from what the ledger says."""

from pathlib import Path

from loadtest.ledger import Ledger, Outcome, open_ledger
from loadtest.register import read_register


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

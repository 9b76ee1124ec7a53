"""The audit, with a system that is a dictionary: it keeps every promise, or breaks one once in a thousand votes."""

import random
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proof.audit import Baseline, Found, Report, Row, audit
from proof.ledger import Outcome, open_ledger
from proof.register import Register, read_register

VOTERS = 700
VOTES = 1000
START = 1_800_000_000.0

BEFORE = Baseline(last_id=0, total=0, settled=0, rejected=0)


class System:
    """Counts votes as it should. Its rows are lists, so that they can be doubled."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {}
        self.earlier: dict[str, Row] = {}
        self.settled = 0

    def take(self, row: Row) -> None:
        self.settled += 1
        if row.voter in self.rows:
            self.earlier[row.voter] = self.rows[row.voter][0]
        self.rows[row.voter] = [row]

    def found(self) -> Found:
        rows = [row for own in self.rows.values() for row in own]
        recount = Counter(row.option for row in rows)
        return Found(
            rows=rows,
            recount=recount,
            tallies=recount,
            shown={"c": 0, **recount},
            waiting=0,
            settled=self.settled,
            rejected=0,
        )


def told(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat().replace("+00:00", "Z")


def hold_election(folder: Path, rng: random.Random, *, in_doubt: float = 0.0) -> System:
    """A thousand votes, some by voters who vote again; each noted in the ledger and counted."""
    system = System()
    with open_ledger(folder / "ledger-1.jsonl") as ledger:
        for number in range(VOTES):
            # the second vote of a voter is for the same option as often as not
            voter, option, cast_at = f"voter {rng.randrange(VOTERS)}", rng.choice("ab"), START + number + rng.random()
            sent = ledger.send(voter, option)
            if rng.random() < in_doubt:
                if rng.random() < 0.5:
                    system.take(Row(voter, option, cast_at))
                ledger.answer(sent, Outcome.IN_DOUBT, "503", voter=None)
            else:
                system.take(Row(voter, option, cast_at))
                ledger.answer(sent, Outcome.ACCEPTED, "303", voter=voter, cast_at=told(cast_at))
    return system


def judge(folder: Path, found: Found) -> Report:
    return audit(read_register(folder), BEFORE, found)


@pytest.mark.parametrize("seed", range(10))
def test_a_system_that_keeps_its_promises_passes(tmp_path: Path, seed: int) -> None:
    system = hold_election(tmp_path, random.Random(seed), in_doubt=0.05)

    report = judge(tmp_path, system.found())

    assert report.problems == []
    assert report.notes == []
    assert report.voters >= report.confirmed > 500
    assert report.accepted + report.in_doubt == VOTES


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("wrong", ["lost", "doubled", "reverted"])
def test_one_vote_in_a_thousand_is_missed(tmp_path: Path, wrong: str, seed: int) -> None:
    rng = random.Random(seed)
    system = hold_election(tmp_path, rng)
    voter = rng.choice(sorted(system.earlier))
    if wrong == "lost":
        del system.rows[voter]
    elif wrong == "doubled":
        system.rows[voter] *= 2
    else:
        system.rows[voter] = [system.earlier[voter]]

    report = judge(tmp_path, system.found())

    assert {name: getattr(report, name) for name in ("lost", "doubled", "reverted")} == {
        "lost": 0,
        "doubled": 0,
        "reverted": 0,
        wrong: 1,
    }
    assert any(voter in problem for problem in report.problems)


def test_a_vote_counted_for_a_stranger_is_doubled(tmp_path: Path) -> None:
    system = hold_election(tmp_path, random.Random(1))
    system.rows["somebody else"] = [Row("somebody else", "a", START)]

    assert judge(tmp_path, system.found()).doubled == 1
    assert audit(read_register(tmp_path), BEFORE, system.found(), others_vote=True).doubled == 0


@pytest.mark.parametrize(("second", "doubled"), [(0.5, 0), (-5.0, 1), (9.0, 1)])
def test_a_stranger_may_be_a_voter_who_was_never_told_who_it_is(tmp_path: Path, second: float, doubled: int) -> None:
    """But only one who cast its vote while that voter's vote was under way."""
    began = time.time()
    with open_ledger(tmp_path / "ledger-1.jsonl") as ledger:
        ledger.answer(ledger.send(None, "a"), Outcome.IN_DOUBT, "503", voter=None)
    rows = [Row("stranger", "a", began + second)]

    assert judge(tmp_path, Found(rows=rows)).doubled == doubled


def test_where_parts_have_clocks_of_their_own_strangers_are_only_counted(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "ledger-1.jsonl") as ledger:
        ledger.answer(ledger.send(None, "a"), Outcome.IN_DOUBT, "503")
    register, apart = read_register(tmp_path), float("inf")
    strangers = [Row(f"stranger {number}", "a", time.time() + 600 * number) for number in (1, 2)]

    assert audit(register, BEFORE, Found(rows=strangers[:1]), clocks_seconds=apart).doubled == 0
    assert audit(register, BEFORE, Found(rows=strangers), clocks_seconds=apart).doubled == 1


@pytest.mark.parametrize("sums", ["tallies", "shown"])
def test_sums_that_disagree_with_the_rows_are_found(tmp_path: Path, sums: str) -> None:
    found = hold_election(tmp_path, random.Random(1)).found()
    assert found.recount is not None
    wrong = {**found.recount, "a": found.recount["a"] + 1}

    report = judge(tmp_path, Found(**{**vars(found), sums: wrong}))

    assert len(report.problems) == 1
    assert str((found.recount["a"] + 1, found.recount["a"])) in report.problems[0]


@pytest.mark.parametrize(("name", "value"), [("waiting", 1), ("rejected", 1), ("settled", 999), ("settled", 1001)])
def test_a_queue_that_had_more_or_fewer_votes_is_found(tmp_path: Path, name: str, value: int) -> None:
    found = hold_election(tmp_path, random.Random(1)).found()

    assert not judge(tmp_path, Found(**{**vars(found), name: value})).ok


@pytest.mark.parametrize("difference", [-1, 1])
def test_without_the_database_only_totals_are_compared_and_it_says_so(tmp_path: Path, difference: int) -> None:
    system = hold_election(tmp_path, random.Random(1))
    voters = len(system.rows)

    right = judge(tmp_path, Found(rows=None, shown={"a": voters}))
    wrong = judge(tmp_path, Found(rows=None, shown={"a": voters + difference}))

    assert right.ok
    assert any("not every voter's vote" in note for note in right.notes)
    assert not wrong.ok


def test_a_voter_who_was_taken_for_another_is_a_problem(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "ledger-1.jsonl") as ledger:
        ledger.answer(ledger.send("v", "a"), Outcome.ACCEPTED, "303", voter="w")
    register: Register = read_register(tmp_path)

    assert not audit(register, BEFORE, Found(rows=[Row("v", "a", None)])).ok

"""The drill's other parts: the ledger gives back what was written, the plan keeps its promise."""

import math
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.drill.ledger import Cast, Outcome, open_ledger, read_ledger
from tests.drill.plan import BACKEND, VICTIMS, plan


def test_the_ledger_gives_back_every_vote(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with open_ledger(path) as ledger:
        first = ledger.send("ann", "a")
        second = ledger.send(None, "b")
        ledger.answer_after(0.25, second, Outcome.ACCEPTED, "202", voter="bob")
        ledger.answer_after(0.5, first, Outcome.IN_DOUBT, "ReadError", voter=None)
        ledger.send("ann", "c")
        assert (ledger.sent, ledger.accepted, ledger.slowest_answer) == (3, 1, 0.5)
    without_times = [replace(cast, sent_at=-math.inf, answered_at=math.inf) for cast in read_ledger(path)]
    assert without_times == [
        Cast("ann", "a", sent=1, answered=4, outcome=Outcome.IN_DOUBT, answer="ReadError"),
        Cast("bob", "b", sent=2, answered=3, outcome=Outcome.ACCEPTED, answer="202", taken_for="bob"),
        Cast("ann", "c", sent=5, answered=math.inf, outcome=Outcome.IN_DOUBT),
    ]


@given(st.integers(0, 60), st.integers())
def test_a_plan_kills_as_often_as_asked_and_everybody_equally_often(kills: int, seed: int) -> None:
    made = plan(kills, random.Random(seed))
    victims = Counter(victim if victim != BACKEND else "postgres" for kill in made for victim in kill)
    assert victims.total() == kills
    assert all(victims[victim] in (kills // 5, kills // 5 + 1) for victim in VICTIMS)
    assert all(len(set(kill)) == len(kill) for kill in made)


def test_the_same_seed_makes_the_same_plan() -> None:
    assert plan(30, random.Random(7)) == plan(30, random.Random(7))

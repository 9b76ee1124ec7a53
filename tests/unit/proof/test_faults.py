"""The drill's plan keeps its promises, and its browsers send what the page and the answers gave them."""

import os
import random
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from proof.browser import Browser
from proof.faults import BACKEND, PAUSE_SECONDS, VICTIMS, plan
from proof.system import remove_leftovers


@given(st.integers(0, 60), st.integers())
def test_a_plan_kills_as_often_as_asked_and_everybody_equally_often(kills: int, seed: int) -> None:
    made = plan(kills, random.Random(seed))
    victims = Counter(victim if victim != BACKEND else "postgres" for fault in made for victim in fault.killed)
    assert victims.total() == kills
    assert all(victims[victim] in (kills // len(VICTIMS), kills // len(VICTIMS) + 1) for victim in VICTIMS)


@given(st.integers(0, 60), st.integers())
def test_a_plan_pauses_everybody_at_least_once(kills: int, seed: int) -> None:
    pauses = [fault for fault in plan(kills, random.Random(seed)) if fault.paused]
    assert {fault.paused for fault in pauses} == set(VICTIMS)
    assert all(PAUSE_SECONDS[0] <= fault.seconds <= PAUSE_SECONDS[1] for fault in pauses)


def test_the_same_seed_makes_the_same_plan() -> None:
    assert plan(30, random.Random(7)) == plan(30, random.Random(7))


def test_a_browser_with_script_never_sends_a_number_twice() -> None:
    browser = Browser()
    assert browser.next_number() is None
    assert browser.read('<input type="hidden" name="number" value="7">') == 7
    sent = [browser.next_number(), browser.next_number()]
    browser.read('<input type="hidden" name="number" value="3">')  # an old page, from the history
    assert [*sent, browser.next_number()] == [8, 9, 10]
    assert browser.read("a page without a number") is None


def test_a_browser_sends_back_all_cookies_and_knows_who_it_is() -> None:
    browser = Browser()
    assert browser.take(["voter_id=ann.x; HttpOnly; Path=/", "ballot=y=; Path=/"]) == "ann"
    assert browser.headers() == {"Cookie": "voter_id=ann.x; ballot=y="}
    assert browser.take([]) == "ann"
    assert browser.take(["__Host-voter_id=bob.z; Secure; Path=/"]) == "bob"


def test_what_libfaketime_left_of_killed_processes_is_removed(tmp_path: Path) -> None:
    """A PostgreSQL that got the process id of one of them could not start."""
    dead = 2**22 + 1  # beyond the largest process id that Linux gives
    for name in ("sem.faketime_sem", "faketime_shm"):
        for pid in (dead, os.getpid()):
            (tmp_path / f"{name}_{pid}").touch()
    (tmp_path / "sem.another_1").touch()

    remove_leftovers(tmp_path)

    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"sem.faketime_sem_{os.getpid()}", f"faketime_shm_{os.getpid()}", "sem.another_1"}

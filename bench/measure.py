"""Measures one environment: the cold start, the memory, then every edit, round by round, while voters vote."""

import itertools
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from bench.edits import EDITS, Edit, add_probe, applied, requirement
from bench.environment import Environment
from bench.errors import BenchError, NotSeen
from bench.scorecard import Score
from bench.voting import cast_one, voting
from bench.watch import PageWatch, Sign

START_SECONDS = 300.0
ASK_SECONDS = 0.05
# Between an edit that was taken back and the next one: nobody edits two files within a second.
PAUSE_SECONDS = 1.0

Say = Callable[[str], None]


def all_edits(environment: Environment) -> list[Edit]:
    """Every edit, as this environment wants it."""
    return [*EDITS[:4], requirement(environment.folder, environment.requirement_files), *EDITS[4:]]


def measure(environment: Environment, *, rounds: int, votes: Path, say: Say) -> Score:
    """Run it from nothing to nothing; raises BenchError when it can't be measured."""
    add_probe(environment.folder)
    edits = all_edits(environment)
    say("making what it needs")
    environment.prepare()
    say("starting")
    cold_start = _cold_start(environment)
    environment.settle()
    score = Score(cold_start=cold_start, memory=environment.memory(), seconds={edit.name: [] for edit in edits})
    say(f"a vote was on the dashboard after {cold_start:.1f} s")
    environment.start_load_page()
    PageWatch(Sign(environment.url("loadtest") + "/", "Locust", within=START_SECONDS)).wait()
    with voting(votes, environment.url("vote"), environment.where()) as result:
        for marker, edit in _turns(edits, rounds):
            seconds = _edit_seconds(environment, edit, marker)
            score.seconds[edit.name].append(seconds)
            say(f"{edit.title}: {seconds:.2f} s" if seconds < math.inf else f"{edit.title}: not seen in time")
    score.votes = result.votes
    return score


def _turns(edits: list[Edit], rounds: int) -> Iterator[tuple[int, Edit]]:
    """Each edit of each round with a marker of its own."""
    return zip(itertools.count(7001), (edit for _ in range(rounds) for edit in edits), strict=False)


def _cold_start(environment: Environment) -> float:
    """Seconds from nothing until the first vote is on the dashboard."""
    began = time.monotonic()
    environment.start()

    def until(so: Callable[[], bool], what: str) -> None:
        while not _answers(so):
            if problem := environment.problem():
                raise BenchError(problem)
            if time.monotonic() - began > START_SECONDS:
                raise BenchError(f"not within {START_SECONDS:g} s: {what}")
            time.sleep(ASK_SECONDS)

    until(lambda: cast_one(environment.url("vote")).status_code == httpx.codes.ACCEPTED, "a vote is accepted")
    tally = f"{environment.url('result')}/api/tally"
    until(lambda: httpx.get(tally, timeout=5).raise_for_status().json()["total"] >= 1, "a vote is on the dashboard")
    return time.monotonic() - began


def _answers(so: Callable[[], bool]) -> bool:
    try:
        return so()
    except httpx.HTTPError:
        return False


def _edit_seconds(environment: Environment, edit: Edit, marker: int) -> float:
    """Seconds from the edit until the system shows it; the file, and what runs, are as before afterwards."""
    text = edit.shown.replace("{}", str(marker))
    # Somebody who edits has looked at the page before. A template that nobody has seen yet is read when it is asked
    # for, new, without any start.
    _until_gone(environment, edit, text)
    with environment.watch(edit.service, edit.path, text, there=True) as watch:
        began = time.monotonic()
        with applied(edit, environment.folder, marker):
            environment.take_up(edit)
            try:
                watch.wait()
                seconds = time.monotonic() - began
            except NotSeen:
                seconds = math.inf
            environment.forget(edit)
    environment.take_up(edit)
    _until_gone(environment, edit, text)
    time.sleep(PAUSE_SECONDS)
    return seconds


def _until_gone(environment: Environment, edit: Edit, text: str) -> None:
    with environment.watch(edit.service, edit.path, text, there=False) as watch:
        watch.wait()

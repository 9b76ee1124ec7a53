"""Measures one environment: cold start, memory, then every edit, round by round, while people vote."""

import math
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import httpx

from bench.edits.edit import BROKEN, EDITS, Edit, add_probe, applied, requirement
from bench.edits.environments import Environment
from bench.edits.scorecard import Score
from bench.edits.traffic import Window, cast_one, traffic
from bench.settings import BenchError
from proof.waiting import TooLate, eventually

START_SECONDS = 300.0
SHOWN_SECONDS = 60.0
REQUEST_SECONDS = 2.0
# Between an edit that was taken back and the next one: nobody edits two files within a second.
PAUSE_SECONDS = 1.0
BROKEN_SECONDS = 5.0  # how long the broken code stays

Say = Callable[[str], None]


def measure(environment: Environment, *, rounds: int, votes: Path, say: Say) -> Score:
    """Run it from nothing to nothing; raises BenchError when it can't be measured."""
    add_probe(environment.folder)
    known = {edit.name: edit for edit in (*EDITS, requirement(environment.folder, environment.requirement_files))}
    edits = [known[name] for name in environment.edits if name != BROKEN.name]
    say("making what it needs")
    environment.prepare()
    say("starting")
    cold_start = _cold_start(environment)
    environment.settle()
    score = Score(cold_start=cold_start, memory=environment.memory(), seconds={name: [] for name in environment.edits})
    say(f"a vote was on the dashboard after {cold_start:.1f} s")
    environment.start_load_page()
    if any(edit.service == "loadtest" for edit in edits):
        wait_for(environment.url("loadtest") + "/", "Locust", within=START_SECONDS)
    windows: defaultdict[str, list[Window]] = defaultdict(list)
    with traffic(votes, environment.url("vote"), environment.url("result"), environment.where()) as noticed:
        # the broken one last, and once: not everything comes back from it
        for marker, edit in enumerate([*edits * rounds, BROKEN], 7001):
            began = time.time()
            seconds = (_mending_seconds if edit is BROKEN else _edit_seconds)(environment, edit, marker)
            windows[edit.name].append((began, time.time()))
            score.seconds[edit.name].append(seconds)
            say(f"{edit.title}: {seconds:.2f} s" if seconds < math.inf else f"{edit.title}: not shown in time")
    score.impacts = {name: noticed.impact(those) for name, those in windows.items()}
    score.report = noticed.report
    return score


def wait_for(url: str, text: str, *, there: bool = True, within: float = SHOWN_SECONDS) -> None:
    """Return when a page shows a text, or no longer shows it; raises BenchError when the time is over."""

    def is_so() -> bool:
        # a new connection each time: a restart may break one that is kept
        answer = httpx.get(url, timeout=REQUEST_SECONDS, verify=False).raise_for_status()
        return (text in answer.text) is there

    what = f"{url} {'shows' if there else 'no longer shows'} {text!r}"
    try:
        eventually(is_so, within=within, saying=what, despite=(httpx.HTTPError,))
    except TooLate:
        raise NotShown(f"not within {within:g} s: {what}") from None


class NotShown(BenchError):
    """The running system did not show an edit in time."""


def _cold_start(environment: Environment) -> float:
    """Seconds from nothing until the first vote is on the dashboard."""

    def until(so: Callable[[], bool], what: str) -> None:
        def is_so() -> bool:
            environment.check()
            return so()

        try:
            eventually(is_so, within=START_SECONDS, despite=(httpx.HTTPError,))
        except TooLate:
            raise BenchError(f"not within {START_SECONDS:g} s: {what}") from None

    began = time.monotonic()
    environment.start()
    until(lambda: cast_one(environment.url("vote")).status_code == httpx.codes.ACCEPTED, "a vote is accepted")
    tally = f"{environment.url('result')}/api/tally"
    until(lambda: httpx.get(tally, timeout=5).raise_for_status().json()["total"] >= 1, "a vote is on the dashboard")
    return time.monotonic() - began


def _edit_seconds(environment: Environment, edit: Edit, marker: int) -> float:
    """Seconds from the edit until the system shows it; the file, and what runs, are as before afterwards."""
    url, text = environment.url(edit.service) + edit.path, edit.shown.replace("{}", str(marker))
    # Somebody who edits has looked at the page before. A template that nobody has seen yet is read when it is asked
    # for, new, without any start.
    wait_for(url, text, there=False)
    began = time.monotonic()
    with applied(edit, environment.folder, marker):
        environment.take_up(edit)
        try:
            wait_for(url, text)
            seconds = time.monotonic() - began
        except NotShown:
            seconds = math.inf
        environment.forget(edit)
    environment.take_up(edit)
    wait_for(url, text, there=False)
    time.sleep(PAUSE_SECONDS)
    return seconds


def _mending_seconds(environment: Environment, edit: Edit, marker: int) -> float:
    """Seconds from mending broken code until the page is answered, which it may be all the time."""
    with applied(edit, environment.folder, marker):
        time.sleep(BROKEN_SECONDS)
    began = time.monotonic()
    try:
        wait_for(environment.url(edit.service) + edit.path, edit.shown)
    except NotShown:
        return math.inf
    seconds = time.monotonic() - began
    time.sleep(PAUSE_SECONDS)
    return seconds

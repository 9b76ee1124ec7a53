"""How a process that died is restarted, whom an edit concerns, and the common log."""

import os
import threading
from pathlib import Path

import pytest

from local.edits import STAMP, concerned
from local.log import MOST_WAITING, Log
from local.processes import LONGEST_DELAY, STEADY_SECONDS, BackOff, how_it_ended

PROJECT = Path("/project")


def test_each_start_that_fails_waits_twice_as_long_up_to_a_limit() -> None:
    back_off = BackOff()
    delays = [back_off.after(0.1) for _ in range(8)]
    assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, LONGEST_DELAY, LONGEST_DELAY, LONGEST_DELAY]


def test_after_a_steady_run_the_first_wait_is_short_again() -> None:
    back_off = BackOff()
    for _ in range(6):
        back_off.after(0.1)
    assert back_off.after(STEADY_SECONDS) == 0.2


def test_an_end_is_told_in_words() -> None:
    assert how_it_ended(3) == "exited with code 3"
    assert how_it_ended(-9) == "killed by SIGKILL"


@pytest.mark.parametrize(
    ("edited", "services"),
    [
        ("vote/app.py", ("vote",)),
        ("worker/batch.py", ("worker",)),
        ("result/app.py", ("result",)),
        ("common/settings.py", ("vote", "worker", "result")),
        ("db/schema.sql", ("worker",)),
    ],
)
def test_an_edit_starts_the_services_again_that_run_the_file(edited: str, services: tuple[str, ...]) -> None:
    assert concerned(PROJECT, PROJECT / edited) == services


@pytest.mark.parametrize(
    "edited",
    [
        "vote/static/vote.css",
        "vote/templates/ballot.html",
        "common/templates/base.html",
        "result/static/chart.js",
        "vote/app.py~",
        "vote/__pycache__/app.pyc",
        "local/up.py",
        "a.py",
    ],
)
def test_an_edit_of_what_is_read_from_disk_or_not_run_starts_nothing_again(edited: str) -> None:
    assert concerned(PROJECT, PROJECT / edited) == ()


def test_a_file_outside_the_project_concerns_nobody() -> None:
    assert concerned(PROJECT, Path("/elsewhere/vote/app.py")) == ()


def test_new_packages_start_every_service_again() -> None:
    assert concerned(PROJECT, STAMP) == ("vote", "worker", "result")


def test_every_line_carries_the_time_and_the_name() -> None:
    reading, writing = os.pipe()
    log = Log(writing, colour=False)
    log.line("vote", "one\ntwo")
    log.close()
    first, second = os.read(reading, 1000).decode().splitlines()
    assert first[8:] == " vote     | one"
    assert second[8:] == " vote     | two"
    os.close(reading)
    os.close(writing)


def test_a_reader_that_went_away_is_told_once() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    log = Log(writing, colour=False)
    told = threading.Semaphore(0)
    log.on_broken = told.release
    for _ in range(3):
        log.line("vote", "nobody reads this")
    assert told.acquire(timeout=5)
    log.close()
    assert not told.acquire(blocking=False)
    os.close(writing)


def test_a_reader_that_is_slow_holds_up_nobody() -> None:
    """More lines than may wait are left out, and how many is written when there is room again."""
    reading, writing = os.pipe()
    log = Log(writing, colour=False)
    for number in range(3 * MOST_WAITING):
        log.plain(f"line {number} {'x' * 80}")
    pieces: list[bytes] = []

    def read() -> None:
        while piece := os.read(reading, 1 << 20):
            pieces.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    while log.waiting():
        pass
    log.plain("the last")
    log.close()
    os.close(writing)
    reader.join(5)
    os.close(reading)
    assert b"lines left out\nthe last\n" in b"".join(pieces)

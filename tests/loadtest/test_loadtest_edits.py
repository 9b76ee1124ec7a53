"""Edits and restarts under load: what is done is noticed in the right row, and a service that drops requests fails."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.edits.impacts import Row, rows, table
from bench.edits.under_load import EDIT_OF, SERVICES, Processes, judge, plan
from loadtest.request_log import LATE, SCREEN, Entry, RequestLog, read_log
from tests.integration.copies import Up, copy_of_the_project, ready
from tests.services import PROJECT

QUIET, EDIT, RESTART = "quiet", "edits of vote", "restarts of redis"
ACTS = [(QUIET, 0.0), (EDIT, 10.0), (RESTART, 20.0), (EDIT, 30.0)]
NEWS = [each / 10 for each in range(400) if not 220 <= each < 250]


def found(*entries: Entry) -> dict[str, Row]:
    return {row.title: row for row in rows(ACTS, 40.0, entries, NEWS)}


def test_a_request_belongs_to_every_act_during_which_it_was_under_way() -> None:
    there = found(Entry("GET /", 5, 1, ""), Entry("GET /", 21, 2, "ConnectionReset"))

    assert (there[QUIET].requests, there[QUIET].failed, there[QUIET].longest_wait) == (1, 0, 1)
    assert (there[EDIT].times, there[EDIT].requests, there[EDIT].failed, there[EDIT].longest_wait) == (2, 1, 1, 2)
    assert there[RESTART].failures == {"GET /: ConnectionReset": 1}


def test_what_ends_with_the_load_belongs_to_nobody() -> None:
    assert found(Entry("GET /", 50, 1, "stopped"))[EDIT].failed == 0


def test_what_is_no_request_can_fail_but_keeps_nobody_waiting() -> None:
    there = found(Entry("WS vote to screen", 5, 3, ""), Entry("WS screen lost", 6, 0, "closed"))

    assert (there[QUIET].requests, there[QUIET].longest_wait, there[QUIET].failed) == (0, 0, 1)


def test_a_reconnecting_screen_is_a_request() -> None:
    assert found(Entry("WS connect", 5, 2, ""))[QUIET].longest_wait == 2


def test_a_view_grows_old_until_the_screen_shows_something_newer() -> None:
    there = found(Entry(SCREEN, 12, 4, ""))

    assert there[EDIT].oldest_view == 4
    assert there[QUIET].oldest_view == 0
    assert there[EDIT].requests == 0


def test_a_load_test_that_is_late_itself_is_told_and_is_no_request() -> None:
    there = found(Entry(LATE, 12, 2, ""))

    assert (there[EDIT].load_late, there[EDIT].requests, there[EDIT].longest_wait) == (2, 0, 0)


def test_the_time_without_a_new_vote_is_that_of_the_act() -> None:
    there = found()

    assert there[RESTART].longest_without_news == pytest.approx(3.1)
    assert there[QUIET].longest_without_news == pytest.approx(0.1)


def test_one_failed_request_during_an_edit_fails_and_one_during_a_restart_of_redis_is_reported() -> None:
    there = found(Entry("POST /", 25, 1, "503"))
    assert judge(list(there.values()), ("redis", "postgres")) == []

    there = found(Entry("POST /", 15, 1, "503"))
    assert judge(list(there.values()), ("redis", "postgres")) == ["edits of vote: 1 requests failed"]


def test_the_table_says_how_many_failed_and_how_long_anybody_waited() -> None:
    text = table(list(found(Entry("POST /", 15, 1.25, "503")).values()), users=100)

    assert text.startswith("| while 100 people vote | times | failed requests | longest wait |")
    assert "| edits of vote | 2 | 1 of 1 | 1.25 s | 0.10 s | 0.00 s | 0.00 s |" in text


def test_the_log_gives_back_what_was_noted(tmp_path: Path) -> None:
    log = RequestLog()
    log.note_screen(9)  # it is not open yet
    log.open(tmp_path)
    log.add(request_type="POST", name="POST /api/votes", response_time=250.0, exception=None, response_length=2)
    log.add(request_type="WS", name="connect", response_time=10.0, exception=ValueError("closed"))
    log.note_screen(0.5)
    log.close()

    entries = list(read_log(tmp_path))
    assert [(entry.name, entry.seconds, entry.failure) for entry in entries] == [
        ("POST /api/votes", 0.25, ""),
        ("WS connect", 0.01, "closed"),
        (SCREEN, 0.5, ""),
    ]


def test_everything_is_done_as_often_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"EDITS": "3", "BROKEN": "2", "RESTARTS": "1"}.items():
        monkeypatch.setenv(name, value)

    steps = [step.row for step in plan(Processes())]

    assert steps.count("edits of worker") == 3
    assert steps.count("broken edits, then mended") == 2
    assert [row for row in steps if row.startswith("restarts")] == [
        f"restarts of {part}" for part in (*SERVICES, "redis", "postgres")
    ]


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Up]:
    """The system that runs in a copy, with what edits it under load."""
    folder = copy_of_the_project(tmp_path / "project")
    for part in ("bench", "loadtest", "proof"):
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    with ready(Up(folder, LIMIT_PER_ADDRESS="0")) as up:
        yield up


SIZE = {"USERS": "10", "EDITS": "1", "BROKEN": "1", "RESTARTS": "1", "FIRST_SECONDS": "2"}


@pytest.mark.timeout(360)
def test_nobody_notices_edits_and_restarts(copy: Up) -> None:
    copy.environ |= SIZE
    before = texts(copy.project)

    code, output = copy.run(module="bench.edits.under_load", within=240)

    assert code == 0, output
    assert "PASSED" in output
    for row in ("edits of vote", "edits of worker", "edits of result", "broken edits, then mended"):
        assert f"| {row} | 1 | 0 of " in output
    assert texts(copy.project) == before


def texts(project: Path) -> dict[str, str]:
    """The files that are edited."""
    return {change.file: (project / change.file).read_text() for edit in EDIT_OF.values() for change in edit.changes}

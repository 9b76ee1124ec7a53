"""How a process that died is restarted, whom an edit concerns, and the common log."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from local.activation import listening_socket
from local.edits import STAMP, concerned
from local.log import MOST_WAITING, Log
from local.parts import Part
from local.processes import LONGEST_DELAY, STEADY_SECONDS, BackOff, Keeper, how_it_ended, what_is_wrong
from tests.waiting import eventually_async

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


SYNTAX = """\
Traceback (most recent call last):
  File "<frozen runpy>", line 88, in _run_code
  File "/project/vote/__main__.py", line 17, in <module>
    from vote.app import create_app
  File "/project/vote/page.py", line 82
    def broken(:
               ^
SyntaxError: invalid syntax
"""
IN_A_LIBRARY = """\
Traceback (most recent call last):
  File "/project/vote/app.py", line 43, in create_app
    app = Quart(1)
  File "/project/.venv/lib/python3.11/site-packages/quart/app.py", line 5, in __init__
    super().__init__(
TypeError: expected str
"""
IN_A_GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/project/common/lifecycle.py", line 207, in run
  |     uvloop.run(main(settings))
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/project/vote/pusher.py", line 12, in run
    |     undefined
    | NameError: name 'undefined' is not defined
    +------------------------------------
"""


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (SYNTAX, "vote/page.py:82: SyntaxError: invalid syntax"),
        (IN_A_LIBRARY, "vote/app.py:43: TypeError: expected str"),
        (IN_A_GROUP, "vote/pusher.py:12: NameError: name 'undefined' is not defined"),
        ("[info] serving\n\nvote: VOTE_PORT=x: must be a number\n", "vote: VOTE_PORT=x: must be a number"),
        ("", ""),
    ],
)
def test_of_a_broken_edit_the_place_in_our_code_and_the_error_are_told(output: str, told: str) -> None:
    assert what_is_wrong(output.splitlines(), PROJECT) == told


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


HANGS_THE_SECOND_TIME = """
import os, pathlib, socket, time
if not pathlib.Path('second').exists():
    pathlib.Path('second').touch()
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'].replace('@', '\\0', 1))
time.sleep(60)
"""


async def until(condition: Callable[[], bool]) -> None:
    async def look() -> bool:
        return condition()

    await eventually_async(look, within=30)


async def test_a_process_that_is_never_ready_is_ended_and_the_old_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.processes.READY_SECONDS", 1.0)
    problems: list[str] = []
    said: list[str] = []
    with listening_socket("127.0.0.1", 0) as listener:
        part = Part(
            "vote", (sys.executable, "-c", HANGS_THE_SECOND_TIME), os.environ, tmp_path, sockets={"http": listener}
        )
        keeper = Keeper(
            part,
            say=said.append,
            on_change=lambda _: None,
            on_broken=problems.append,
            on_failure=lambda error: pytest.fail(str(error)),
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, keeper.poll)
        running = asyncio.create_task(keeper.run())
        try:
            await until(lambda: problems == [""])
            first = keeper.pid
            keeper.restart("asked")
            await until(lambda: problems == ["", "not ready after 1 s"])
            await until(lambda: keeper.pids == [first] and keeper.pid == first)
            assert said[-1] == f"broken edit: not ready after 1 s; the version before it serves (process {first})"
        finally:
            await keeper.stop()
            await running
            asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)
    assert not keeper.pids

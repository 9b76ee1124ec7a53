"""The drill as it is typed, with fewer kills; `make drill KILLS=30` is the long one."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.system import PROJECT, processes_of

KILLS = 7
DRILLS = PROJECT / ".data" / "drill"


@pytest.mark.platform
@pytest.mark.timeout(300)
def test_no_vote_is_lost_doubled_or_brought_back_while_everything_is_killed_and_paused() -> None:
    command = ["make", "drill", f"KILLS={KILLS}"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=290, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED" in done.stdout


@pytest.mark.timeout(180)
def test_a_drill_that_is_interrupted_says_so_and_leaves_nothing_behind() -> None:
    before = folders()
    with subprocess.Popen(
        ["make", "drill", "KILLS=100"], cwd=PROJECT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as drill:
        assert drill.stdout is not None
        for line in drill.stdout:
            if "votes accepted" in line:
                break
        (folder,) = folders() - before
        os.killpg(drill.pid, signal.SIGINT)  # as a terminal does
        rest = drill.stdout.read()
    assert drill.returncode != 0
    assert "Interrupted: nothing was checked." in rest
    assert "Traceback" not in rest
    assert not processes_of(folder)
    assert folders() == before


def folders() -> set[Path]:
    return set(DRILLS.glob("2*"))

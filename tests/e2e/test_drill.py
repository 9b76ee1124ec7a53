"""The short form of the drill; `make drill KILLS=30` is the long one."""

import subprocess
import sys

import pytest

from tests.system import PROJECT

KILLS = 7


@pytest.mark.timeout(180)
def test_no_vote_is_lost_or_doubled_while_everything_is_killed() -> None:
    command = [sys.executable, "-m", "tests.drill", "--kills", str(KILLS)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

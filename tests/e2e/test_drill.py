"""The drill as the README has it typed, with fewer kills; `make drill KILLS=30` is the long one."""

import subprocess

import pytest

from tests.system import PROJECT

KILLS = 7


@pytest.mark.timeout(300)
def test_no_vote_is_lost_doubled_or_brought_back_while_everything_is_killed_and_paused() -> None:
    command = ["make", "drill", f"KILLS={KILLS}"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=290, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED" in done.stdout

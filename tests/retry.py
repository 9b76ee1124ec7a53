"""Run once more, alone, the few tests that have failed: CI does so, where whole runs share two cores.

It is for what a busy machine does to browsers, TLS and Tilt, and hides nothing: the first failure stays in the output,
and a test that passed only then is named. A test of the parts that must not lose a vote has no second run: what loses
one vote in fifty runs loses votes.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository.tree import PROJECT

LAST_FAILED = Path(".data/cache/pytest/v/cache/lastfailed")
CHANCE = 5  # more failures than these are not chance
ONCE = (
    "tests/unit/",
    "tests/repository/",
    "tests/e2e/test_drill.py",
    "tests/integration/test_counting.py",
    "tests/integration/test_faults.py",
    "tests/integration/test_numbered_votes.py",
    "tests/integration/test_reading_ahead.py",
    "tests/integration/test_rejecting.py",
    "tests/integration/test_tallies.py",
    "tests/integration/test_vote_queue",
    "tests/integration/test_workers.py",
    "tests/loadtest/test_loadtest_page.py::test_a_drill_under_load_finds_every_vote",
    "tests/robustness/test_full_",
    "tests/robustness/test_hanging_servers.py",
    "tests/stack/test_compose.py",
)


def refusal(code: int, failed: list[str]) -> str:
    """Why a run that ended with this code, and these tests, has no second; "" if it has."""
    if code != pytest.ExitCode.TESTS_FAILED or not failed:
        return "no second run: more than a test failed"
    if final := [test for test in failed if test.startswith(ONCE)]:
        return f"no second run: a failure of {final[0]} counts the first time"
    if len(failed) > CHANCE:
        return f"no second run: {len(failed)} failures are not chance"
    return ""


def retry(project: Path, code: int) -> int:
    """Run what failed in a run that ended with this code; the code for both, 0 if all have passed now."""
    cache = project / LAST_FAILED
    failed = sorted(json.loads(cache.read_text(encoding="utf-8"))) if cache.exists() else []
    if reason := refusal(code, failed):
        print(reason, flush=True)
        return 1
    print(f"once more, alone: {', '.join(failed)}", flush=True)
    again = subprocess.run([sys.executable, "-m", "pytest", *failed], cwd=project, check=False).returncode
    if again == 0:
        print(f"UNSTEADY, failed once and then passed: {', '.join(failed)}", flush=True)
    return again


if __name__ == "__main__":
    sys.exit(retry(PROJECT, int(sys.argv[1])))

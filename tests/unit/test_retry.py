"""CI's second run of what failed: for chance only, never silent, never for the path of a vote."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository.tree import PROJECT
from tests.retry import CHANCE, LAST_FAILED, ONCE, refusal, retry

FAILS_ONCE = """
from pathlib import Path

def test_unsteady():
    seen = Path(__file__).with_name("seen")
    first = not seen.exists()
    seen.touch()
    assert not first

def test_broken():
    assert False
"""


@pytest.mark.parametrize(
    ("code", "failed"),
    [
        (pytest.ExitCode.INTERNAL_ERROR, ["tests/e2e/1"]),
        (pytest.ExitCode.TESTS_FAILED, []),
        (pytest.ExitCode.TESTS_FAILED, [f"{ONCE[0]}test_x.py::test_y"]),
        (pytest.ExitCode.TESTS_FAILED, [f"tests/e2e/{n}" for n in range(CHANCE + 1)]),
    ],
)
def test_a_broken_run_the_path_of_a_vote_and_many_failures_have_no_second_run(code: int, failed: list[str]) -> None:
    assert refusal(code, failed)


def test_a_few_failures_elsewhere_have_one() -> None:
    assert refusal(1, [f"tests/e2e/{n}" for n in range(CHANCE)]) == ""


def test_what_counts_the_first_time_exists() -> None:
    for each in ONCE:
        path, _, test = each.partition("::")
        files = list(PROJECT.glob(f"{path.rstrip('/')}*"))
        assert files, each
        assert all(f"def {test}(" in file.read_text(encoding="utf-8") for file in files if test), each


@pytest.mark.parametrize(
    ("selected", "code", "said"),
    [("unsteady", 0, "UNSTEADY, failed once and then passed: test_it.py::test_unsteady\n"), ("", 1, "")],
)
def test_only_what_passes_the_second_time_is_forgiven_and_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    selected: str,
    code: int,
    said: str,
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take seconds to start
    (tmp_path / "test_it.py").write_text(FAILS_ONCE)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\ncache_dir = {LAST_FAILED.parents[2]}\n")
    first = [sys.executable, "-m", "pytest", "-k", selected]
    assert subprocess.run(first, cwd=tmp_path, check=False).returncode == 1

    assert retry(tmp_path, 1) == code

    lines = capfd.readouterr().out.splitlines(keepends=True)
    assert (lines[-1] if "UNSTEADY" in lines[-1] else "") == said

"""What may run twice: only a test that is marked, only after the errors that its mark names, and never in silence."""

import ast
import subprocess
import sys
from pathlib import Path

from tests.repository.tree import PROJECT, modules

FAIL_ONCE = """
from pathlib import Path

import pytest

def fail_once(name, error):
    seen = Path(__file__).with_name(name)
    if not seen.exists():
        seen.touch()
        raise error

@pytest.mark.flaky(reruns=1, only_rerun="port is taken", reason="the port is anybody's")
def test_of_a_port():
    fail_once("port", OSError("the port is taken"))

@pytest.mark.flaky(reruns=1, only_rerun="port is taken", reason="the port is anybody's")
def test_with_another_error():
    fail_once("error", AssertionError("a vote is lost"))

def test_without_a_mark():
    fail_once("mark", OSError("the port is taken"))
"""


def test_only_a_marked_test_is_forgiven_a_named_error_and_the_last_lines_name_it(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FAIL_ONCE)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", str(PROJECT / "pyproject.toml"), "-n", "2"]

    # with a temporary folder of its own: pytest would take everybody's for itself, also from servers of other tests
    folders = ["--rootdir", str(tmp_path), "--basetemp", str(tmp_path / "temporary"), str(tmp_path)]
    done = subprocess.run([*command, *folders], cwd=PROJECT, capture_output=True, text=True, check=False)

    *_, told, last = done.stdout.splitlines()
    assert "2 failed, 1 passed" in last, done.stdout + done.stderr
    assert told == "RERUN test_it.py::test_of_a_port"
    assert done.stdout.count("\nRERUN ") == 1
    assert "failed once: test_it.py::test_of_a_port" in done.stdout
    assert done.returncode == 1


def test_a_mark_says_after_which_errors_a_test_may_run_twice_and_why() -> None:
    marks = {
        f"{path}:{node.lineno}": {keyword.arg for keyword in node.keywords}
        for path, module in modules("tests").items()
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.flaky"
    }
    assert not {place: said for place, said in marks.items() if said != {"reruns", "only_rerun", "reason"}}

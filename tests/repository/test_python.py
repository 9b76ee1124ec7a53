"""How our Python is written: short files, short functions, one version, tests that wait for something."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

from tests.repository.tree import PROJECT, modules, texts

LONGEST_FILE = 400
LONGEST_FUNCTION = 35

# Who may sleep: what it plays takes time.
# a queue that is polled, a line that is slow
SLEEPERS = {
    Path("tests/loadtest/saboteur.py"),
    Path("tests/loadtest/slow_proxy.py"),
    Path("tests/integration/test_redis_restarts_under_votes.py"),  # its voters think, between restarts as well
    Path("tests/integration/test_lifecycle.py"),  # nothing says that a cancellation does not come
    Path("tests/clients.py"),  # so do slow senders
    Path("tests/integration/test_handover_of_vote.py"),  # its voters think
    Path("tests/robustness/test_slow_clients.py"),  # its clients send a byte a second
}
SLEEPS = {"sleep", "wait_for_timeout"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: ast.Module) -> list[Function]:
    return [node for node in ast.walk(module) if isinstance(node, Function)]


def test_no_file_is_too_long() -> None:
    lengths = {str(path): len(text.splitlines()) for path, text in texts() if path.suffix == ".py"}
    assert not {path: length for path, length in lengths.items() if length > LONGEST_FILE}


def test_no_function_is_too_long() -> None:
    lengths = {
        f"{path}:{function.lineno} {function.name}": _length(function)
        for path, module in modules().items()
        for function in functions(module)
    }
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


def test_every_file_of_tests_has_tests_and_every_test_is_found() -> None:
    have_tests = {path: bool(_tests(module)) for path, module in modules("tests").items()}
    assert not [str(path) for path, has in have_tests.items() if has != path.stem.startswith("test_")]


def test_no_test_sleeps_and_hopes() -> None:
    guilty = [
        f"{path}:{node.lineno}"
        for path, module in modules("tests").items()
        if path not in SLEEPERS
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and _called(node) in SLEEPS and not _yields_only(node)
    ]
    assert not guilty


def test_one_version_of_python_is_meant() -> None:
    project: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    version = project["project"]["requires-python"].removeprefix(">=")
    assert project["tool"]["ruff"]["target-version"] == "py" + version.replace(".", "")
    assert project["tool"]["mypy"]["python_version"] == version
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"Python (\d\.\d+) or newer", readme)) == {version}
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert set(re.findall(r"--python-version (\d\.\d+) --generate", makefile)) == {version}
    assert f"sys.version_info < ({version.replace('.', ', ')})" in makefile


def _length(function: Function) -> int:
    """Its lines, without its decorators and its docstring."""
    assert function.end_lineno is not None
    length = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None and first.end_lineno is not None:
        length -= first.end_lineno - first.lineno + 1
    return length


def _tests(module: ast.Module) -> list[str]:
    return [function.name for function in functions(module) if function.name.startswith("test_")]


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _yields_only(call: ast.Call) -> bool:
    """`asyncio.sleep(0)` lets others run and waits for nothing."""
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0

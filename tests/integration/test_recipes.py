"""The recipes of docs/hands-on.md under "Change something", done as they stand there, in a copy of the project.

A recipe's commands, files, names and code are read from its text: what is changed there is tried as it then is.
"""

import ast
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from tests.integration.copies import Up, copy_of_the_project, ready
from tests.repository.tree import PROJECT
from tests.waiting import eventually

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(not shutil.which("make"), reason="there is no make here"),
]
# What `make` in the copy need not install again.
STAMPS = [f"{sys.prefix}/{name}" for name in (".local-installed", ".dev-installed", "bin/python")]
CHECKED = PROJECT / ".data" / "cache" / "mypy"


class Typed(Up):
    """A copy in which a command was typed that starts everything."""

    def __init__(self, project: Path, command: str) -> None:
        self._typed = command
        # of the variables that make hands on to what it starts, those of an outer make are not ours
        super().__init__(project, MAKEFLAGS="", MAKELEVEL="")

    def _start(self, *arguments: str) -> "subprocess.Popen[str]":
        is_up = arguments[:3] == ("-m", "local", "up")
        return self.type(self._typed) if is_up else super()._start(*arguments)

    def type(self, command: str) -> "subprocess.Popen[str]":
        """Start a command as a person types it, but with our Python and its packages."""
        program, *words = shlex.split(command)
        assert program == "make"
        olds = [f"--old-file={stamp}" for stamp in STAMPS]
        return self._start_program("make", "--silent", *olds, f"VENV={sys.prefix}", *words)

    def output_of(self, command: str) -> str:
        """Run a command to its end, which must be a good one."""
        with self.type(command) as process:
            output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        return output

    def get(self, address: str) -> str:
        """What is at an address of a recipe, whose ports are the usual ones."""
        url = address.replace(":5000", f":{self.ports['VOTE_PORT']}").replace(":5001", f":{self.ports['RESULT_PORT']}")
        return httpx.get(url, timeout=10).raise_for_status().text


def typed(project: Path, command: str) -> AbstractContextManager[Typed]:
    """Type a command that runs everything, and stop it at the end."""
    return ready(Typed(project, command))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = copy_of_the_project(tmp_path / "project")
    shutil.copytree(PROJECT / "docs", folder / "docs")
    for file in ("Makefile", ".env.example", "pyproject.toml"):
        shutil.copy(PROJECT / file, folder)
    return folder


def recipe(name: str) -> str:
    """The text of a recipe."""
    page = (PROJECT / "docs" / "hands-on.md").read_text(encoding="utf-8")
    section = page.split("\n## Change something\n")[1].split("\n## ")[0]
    (text,) = [part for part in section.split("\n- ") if part.startswith(f"**{name}**")]
    return text


def commands(text: str) -> list[str]:
    return [" ".join(command.split()) for command in re.findall(r"`(make [^`]+)`", text)]


def code(text: str) -> list[str]:
    return [textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)\n *```", text, re.DOTALL)]


def first_file(text: str) -> str:
    return str(re.findall(r"\[([^]]+)\]\([^)]+\)", text)[0])


def test_another_option_is_on_both_pages(project: Path) -> None:
    (command,) = commands(recipe("Another option"))
    label = command.rpartition("=")[2]
    with typed(project, command) as up:
        for port in (5000, 5001):
            assert label in up.get(f"http://localhost:{port}/")


def test_the_question_is_asked_and_kept_in_env(project: Path) -> None:
    command, *_ = commands(recipe("The question"))
    values = dict(word.split("=", 1) for word in shlex.split(command)[2:])
    with typed(project, command) as up:
        for text in (up.get("http://localhost:5000/"), up.get("http://localhost:5001/")):
            assert all(value in text for value in values.values())

    example = (project / ".env.example").read_text(encoding="utf-8")
    edited = re.sub(r"^#QUESTION=$", f"QUESTION={values['QUESTION']}", example, flags=re.MULTILINE)
    assert edited != example
    (project / ".env").write_text(edited, encoding="utf-8")
    with typed(project, "make up") as up:
        assert values["QUESTION"] in up.get("http://localhost:5000/")


def test_with_a_batch_of_one_there_is_a_line_for_each_and_the_queue_grows(project: Path) -> None:
    up_command, seed, llen, *_ = commands(recipe("The batch size"))
    with typed(project, up_command) as up:
        with up.type(f"{seed} VOTES=2000") as seeding:
            eventually(lambda: int(up.output_of(llen)) > 0, within=60, saying="votes wait")
            output, _ = seeding.communicate(timeout=60)
        assert "2,000 votes accepted, 0 refused" in output
        eventually(lambda: sum("batch_recorded" in line for line in up.lines) == 2000, within=60)


def test_a_metric_is_told_and_passes_the_checks(project: Path) -> None:
    text = recipe("A metric")
    definition, increment = code(text)
    (function,) = re.findall(r"in `(\w+)`, before the last `return`", text)
    name = re.findall(r'"(\w+)"', definition)[0]
    (address,) = re.findall(r"http://localhost:\d+/metrics", text)
    if CHECKED.exists():  # by `make check`: of the packages nothing has changed
        shutil.copytree(CHECKED, project / CHECKED.relative_to(PROJECT))
    with typed(project, "make up") as up:
        before = up.facts().pids["vote"]
        file = project / first_file(text)
        file.write_text(_with_metric(file.read_text(encoding="utf-8"), definition, increment, function))
        eventually(lambda: up.facts().pids["vote"] != before, within=60, saying="vote runs with the edit")

        def told() -> str:
            return next(line for line in up.get(address).splitlines() if line.startswith(f"{name}_total"))

        eventually(lambda: told() == f"{name}_total 0.0", within=60, despite=(httpx.TransportError, StopIteration))
        with httpx.Client(base_url=up.facts().vote_url, timeout=10) as voter:
            for option in ("a", "b"):
                assert voter.post("/", data={"vote": option}).status_code == httpx.codes.SEE_OTHER
        assert told() == f"{name}_total 1.0"

        (metrics_doc,) = commands(text)
        up.output_of(metrics_doc)
        assert f"`{name}_total`" in (project / "docs" / "metrics.md").read_text(encoding="utf-8")
        for tool in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy", "--package", "vote"]):
            exit_code, output = up.run_python("-m", *tool)
            assert exit_code == 0, output


def test_a_colour_needs_no_restart(project: Path) -> None:
    text = recipe("A colour")
    (variable,) = re.findall(r"`(--[a-z-]+)`", text)
    with typed(project, "make up") as up:
        before = up.facts().pids
        style = project / first_file(text)
        edited, times = re.subn(rf"{variable}: #\w+;", f"{variable}: #123456;", style.read_text(encoding="utf-8"))
        assert times == 2  # once for light and once for dark
        style.write_text(edited, encoding="utf-8")

        page = up.get("http://localhost:5001/")
        (address,) = re.findall(rf'href="([^"]*{style.name}[^"]*)"', page)
        assert up.get(f"http://localhost:5001{address}").count(f"{variable}: #123456;") == 2
        assert up.facts().pids == before


def _with_metric(text: str, definition: str, increment: str, function: str) -> str:
    """The definition below the imports, and the increment before the last return of the function."""
    lines, tree = text.splitlines(), ast.parse(text)
    (found,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function
    ]
    last = max((node for node in ast.walk(found) if isinstance(node, ast.Return)), key=lambda node: node.lineno)
    lines[last.lineno - 1 : last.lineno - 1] = textwrap.indent(increment, " " * last.col_offset).splitlines()
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    below = imports[-1].end_lineno or imports[-1].lineno
    lines[below:below] = ["", *definition.splitlines()]
    return "\n".join(lines) + "\n"

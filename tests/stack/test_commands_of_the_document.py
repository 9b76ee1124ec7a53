"""Every command of `docs/commands.md`, as typed, in the order of its table: each shows what the table says."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repository.tree import PROJECT
from tests.stack.compose import COMMAND_SECONDS, Compose
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(400)

ROW = re.compile(r"^\| `(?P<command>(?:docker|curl)[^`]+)` \| (?P<shows>.+) \|$", re.MULTILINE)
SHOWN_SECONDS = 120.0


def rows() -> list[tuple[str, str]]:
    """Every command, and what the table says of it."""
    text = (PROJECT / "docs" / "commands.md").read_text(encoding="utf-8")
    return [(row["command"], row["shows"]) for row in ROW.finditer(text)]


def as_typed(command: str, compose: Compose) -> list[str]:
    """The words of a command, for a project that has another name and other ports."""
    for ours, theirs in [
        ("localhost:5000", f"localhost:{compose.settings['VOTE_PORT']}"),
        ("localhost:5001", f"localhost:{compose.settings['RESULT_PORT']}"),
        *((f" tallyho-{name}-", f" {compose.project}-{name}-") for name in ("vote", "worker", "result")),
    ]:
        command = command.replace(ours, theirs)
    program, *words = shlex.split(command)
    if program == "docker-compose" and not shutil.which(program):
        return ["docker", "compose", *words]
    return [program, *words]


def missing(shows: str, output: str, compose: Compose) -> list[str]:
    """What the table says `like this` and the command did not print."""
    names = re.findall(r"`([^`]+)`", shows)
    names = [re.sub(r"^tallyho(-[a-z]+-1)$", rf"{compose.project}\1", name) for name in names]
    return [name for name in names if not re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", output)]


@pytest.fixture(scope="module")
def typed(docker: None, tree: Path) -> Iterator[Compose]:
    """A project in which nothing runs yet."""
    compose = Compose(tree)
    yield compose
    compose.remove()


def test_the_table_is_read() -> None:
    assert len(rows()) > 30
    assert {"docker-compose up", "docker-compose down -v", "docker stats"} <= {command for command, _ in rows()}


@pytest.mark.parametrize(("command", "shows"), rows(), ids=[command for command, _ in rows()])
def test_a_command_shows_what_the_table_says(typed: Compose, tmp_path: Path, command: str, shows: str) -> None:
    words = as_typed(command, typed)
    if "until Ctrl-C" in shows:
        until_shown(typed, words, shows, tmp_path / "output")
        return

    def ends_well() -> bool:
        done = subprocess.run(
            words,
            cwd=typed.folder,
            env=typed.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        output = done.stdout + done.stderr
        if done.returncode or missing(shows, output, typed):
            raise LookupError(
                f"{words} ended with {done.returncode} and lacks {missing(shows, output, typed)}: {output}"
            )
        return True

    # a service may still be starting, and a vote on its way
    eventually(ends_well, within=SHOWN_SECONDS, saying=command, despite=(LookupError,))


def until_shown(typed: Compose, words: list[str], shows: str, file: Path) -> None:
    """Run a command that does not end until it has shown everything, then press Ctrl-C, which must end it."""
    with file.open("wb") as output:
        process = subprocess.Popen(
            words,
            cwd=typed.folder,
            env=typed.environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def all_shown() -> bool:
        if lacking := missing(shows, file.read_text(errors="replace"), typed):
            raise LookupError(f"{lacking} in {file.read_text(errors='replace')[-2000:]}")
        return True

    try:
        eventually(all_shown, within=SHOWN_SECONDS, saying=" ".join(words), despite=(LookupError,))
        press_ctrl_c(process)
        if "up" in words:
            typed.run("stop")  # Compose that is interrupted while it still starts leaves some of them running
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def press_ctrl_c(process: subprocess.Popen[bytes]) -> None:
    """Until it ends: some versions of `docker stats` heed the third one only."""
    for _ in range(3):
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
            return
    process.wait(15)

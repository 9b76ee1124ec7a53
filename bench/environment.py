"""What an environment is to the measurement, and the copy of the project it runs in."""

import shutil
import subprocess
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from bench.edits import Edit
from bench.errors import BenchError
from bench.settings import PROJECT
from bench.watch import Watch

TITLES = {"tilt": "Tilt", "compose": "Compose, bind mounts", "up": "`make up`"}


class Environment(Protocol):
    """One way to run the system while one works at it."""

    folder: Path
    requirement_files: tuple[str, ...]  # what somebody edits who needs one more package

    def prepare(self) -> None:
        """Make images or install packages, so that starting is all there is to the start."""

    def start(self) -> None:
        """Start, and return at once."""

    def problem(self) -> str:
        """Why it will never answer; empty as long as it may."""

    def settle(self) -> None:
        """Return when what the start has begun is done."""

    def start_load_page(self) -> None:
        """Start Locust's page, where it is not there by itself."""

    def stop(self) -> None:
        """Stop, and leave nothing: no process, container, volume or image."""

    def url(self, service: str) -> str:
        """The address of vote, result or loadtest."""

    def watch(self, service: str, path: str, text: str, *, there: bool) -> AbstractContextManager[Watch]:
        """Watch a page of a service."""

    def take_up(self, edit: Edit) -> None:
        """What one must type after this edit; nothing, where it is noticed."""

    def forget(self, edit: Edit) -> None:
        """Undo what an edit has brought besides itself, for example a package that was installed."""

    def memory(self) -> dict[str, int]:
        """The bytes it needs now, by what needs them; empty where that is not known."""

    def where(self) -> Mapping[str, str]:
        """Variables that tell the audit where this system is."""


def copy_of_the_project(folder: Path) -> Path:
    """A copy of what git knows and of what it will know, with the times of the files."""
    command = ["git", "-c", f"safe.directory={PROJECT}", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise BenchError("git can't list the project's files: run this in a clone") from None
    shutil.rmtree(folder, ignore_errors=True)
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    return folder


def replace_in(file: Path, old: str, new: str) -> None:
    """Change a file of the copy; raises BenchError if there is nothing to change."""
    text = file.read_text(encoding="utf-8")
    if old not in text:
        raise BenchError(f"{file.name} has no {old!r}: mend bench/, which looks for it")
    file.write_text(text.replace(old, new), encoding="utf-8")

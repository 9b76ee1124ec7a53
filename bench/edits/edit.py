"""The edits: each puts a marker into a file, tells on which page the running system shows it, and is taken back."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.settings import BenchError

# A small package without needs of its own, which no part of the system has: only our checks do.
PACKAGE = "mypy-extensions"
MODULE = "mypy_extensions"
REQUIREMENT = "requirement"

# Appended to vote's code in the copy: whether the process that runs could import the package when it started.
CAN_IMPORT = "dev_bench_package"
PROBE = f"""
import importlib.util

from prometheus_client import Gauge

Gauge("{CAN_IMPORT}", "Whether the package of the edited requirement was found.").set(
    importlib.util.find_spec("{MODULE}") is not None
)
"""
PROBED = "vote/app.py"


@dataclass(frozen=True)
class Change:
    """Another text in one file. Without an old text, the new one is appended."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Edit:
    """What somebody would change, and the page on which `shown` tells that it is in effect; {} is the marker."""

    name: str
    title: str
    service: str
    path: str
    changes: tuple[Change, ...]
    shown: str


LOCUST_OPTION = """
import locust

locust.events.init_command_line_parser.add_listener(
    lambda parser: parser.add_argument("--marker-{}", default="{}", help="An option in the form of Locust's page.")
)
"""


def _code(service: str, path: str, file: str, old: str, new: str) -> Edit:
    return Edit(service, f"code of {service}", service, path, (Change(file, old, new),), "marker {}")


EDITS = (
    _code("vote", "/openapi.json", "vote/app.py", "Takes votes.", "Takes votes, marker {}."),
    _code(
        *("worker", "/metrics", "worker/counter.py"), "1 if this worker counts", "1 if this worker, marker {}, counts"
    ),
    _code("result", "/openapi.json", "result/app.py", "Shows the tally", "Shows marker {} and the tally"),
    Edit(
        *("template", "a template (the ballot)", "vote", "/"),
        (Change("vote/templates/ballot.html", "One vote for each", "One vote, marker {}, for each"),),
        "marker {}",
    ),
    Edit(
        *("locust", "the Locust file", "loadtest", "/"),
        (Change("loadtest/locustfile.py", "", LOCUST_OPTION),),
        "marker_{}",
    ),
)
TITLES = {edit.name: edit.title for edit in EDITS} | {REQUIREMENT: "a new requirement (of vote)"}

BROKEN_CODE = "\n) # marker {}\n"
# The page shows the ballot again, if it ever went.
BROKEN = Edit(
    "broken",
    "broken code of vote, then mended",
    "vote",
    "/",
    (Change("vote/app.py", "", BROKEN_CODE),),
    "<form",
)


def requirement(folder: Path, files: tuple[str, ...]) -> Edit:
    """The edit that adds the package to these files, with its version and hashes as our checks have it."""
    known = (folder / "requirements-dev.txt").read_text(encoding="utf-8")
    lines = re.search(rf"^{PACKAGE}==(?:.*\\\n)*.*\n", known, re.MULTILINE)
    if lines is None:
        raise BenchError(f"requirements-dev.txt has no {PACKAGE}: name another package in bench/edits/edit.py")
    changes = tuple(Change(file, "", lines[0]) for file in files)
    return Edit(REQUIREMENT, TITLES[REQUIREMENT], "vote", "/metrics", changes, f"{CAN_IMPORT} 1.0")


def add_probe(folder: Path) -> None:
    """Make vote tell whether it can import the package."""
    with (folder / PROBED).open("a", encoding="utf-8") as file:
        file.write(PROBE)


def check(edit: Edit, folder: Path) -> None:
    """Raise BenchError if the files are not as the edit expects them."""
    for change in edit.changes:
        _changed(change, _read(folder, change))


@contextmanager
def applied(edit: Edit, folder: Path, marker: int) -> Iterator[None]:
    """Make the edit, and take it back at the end, whatever happens; what else was changed in the files stays."""
    made: list[Change] = [replace(change, new=change.new.replace("{}", str(marker))) for change in edit.changes]
    texts = {change.file: _changed(change, _read(folder, change)) for change in made}
    try:
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
        yield
    finally:
        for change in made:
            before, found, after = _read(folder, change).rpartition(change.new)
            if found:  # else somebody has removed it
                (folder / change.file).write_text(before + change.old + after, encoding="utf-8")


def _read(folder: Path, change: Change) -> str:
    return (folder / change.file).read_text(encoding="utf-8")


def _changed(change: Change, text: str) -> str:
    if not change.old:
        return text + change.new
    if text.count(change.old) != 1:
        raise BenchError(
            f"{change.file} has {change.old!r} {text.count(change.old)} times: mend bench/edits/edit.py, or the file, "
            "if a run that was killed has left its edit there"
        )
    return text.replace(change.old, change.new)

"""An edit in the code of each service, and where the running service shows it."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.stack.compose import Compose
from tests.waiting import eventually

SERVED_SECONDS = 40.0  # two cores, and other tests on them

# What a container says on one of its own ports.
GET = "import sys, urllib.request as u; print(u.urlopen('http://localhost' + sys.argv[1]).read().decode())"
INSIDE = {"vote": 5000, "worker": 9100, "result": 5001, "loadtest": 8089}


@dataclass(frozen=True)
class Edit:
    """Another text in a file of Python, which a path of the service shows once it runs the new code."""

    service: str
    file: str
    old: str
    new: str
    path: str


EDITS = (
    Edit("vote", "vote/app.py", "Takes votes. ", "Takes votes, edited. ", "/openapi.json"),
    Edit("worker", "worker/counter.py", "1 if this worker counts", "1 if this edited worker counts", "/metrics"),
    Edit("result", "result/app.py", "Shows the tally", "Shows the edited tally", "/openapi.json"),
)

# They are read anew: no service starts again for them.
TEMPLATES = (
    Edit("vote", "vote/templates/ballot.html", '<h1 id="question"', '<h1 title="edited" id="question"', "/"),
    Edit("result", "result/templates/dashboard.html", '<h1 id="question"', '<h1 title="edited" id="question"', "/"),
)


def answered_by(page: str) -> str:
    """The container and the process that made a page."""
    [who] = re.findall(r'<span class="instance">([^<]+)</span>', page)
    return str(who)


def try_out(edit: Edit, tree: Path, look: Callable[[str], str], despite: tuple[type[Exception], ...]) -> None:
    """Make the edit, wait until the service shows it, and take it back again."""
    file = tree / edit.file
    before = file.read_text(encoding="utf-8")
    assert edit.old in before
    assert edit.new not in look(edit.path)

    def served() -> bool:
        return edit.new in look(edit.path)

    def taken_back() -> bool:
        return edit.old in look(edit.path)

    try:
        file.write_text(before.replace(edit.old, edit.new), encoding="utf-8")
        saying = f"{edit.service} shows the edit of {edit.file}"
        eventually(served, within=SERVED_SECONDS, saying=saying, despite=despite)
    finally:
        file.write_text(before, encoding="utf-8")
    eventually(taken_back, within=SERVED_SECONDS, despite=despite)


@contextmanager
def broken_edit(compose: Compose, service: str) -> Iterator[str]:
    """A line that is no Python at the end of a service's code, until all are told of it; gives what they are told.

    The version before it serves: both pages say so at their foot, the log says so once, and the container is healthy.
    """
    file = compose.folder / service / "app.py"
    before = file.read_text(encoding="utf-8")
    problem = f"{service}/app.py:{len(before.splitlines()) + 1}: SyntaxError: invalid syntax"
    pages = (compose.vote_url, compose.result_url)

    def told() -> list[bool]:
        return [problem in httpx.get(page, timeout=10).text for page in pages]

    file.write_text(f"{before}this is no Python\n", encoding="utf-8")
    try:
        eventually(lambda: all(told()), within=SERVED_SECONDS, saying=f"the foot of both pages says {problem}")
        said = f"broken edit: {problem}; the version before it serves"
        assert compose.run("logs", "--no-color", service).count(said) == 1
        assert compose.is_healthy(service)
        yield problem
    finally:
        file.write_text(before, encoding="utf-8")
    eventually(lambda: not any(told()), within=SERVED_SECONDS, saying="no page says it any more")

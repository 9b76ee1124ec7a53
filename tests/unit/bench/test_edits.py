"""An edit of the benchmark is one that the project's files allow, and is taken back whatever happens."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bench.edits.containers import Compose, Tilt, memory_of_containers
from bench.edits.edit import (
    BROKEN,
    EDITS,
    MODULE,
    PACKAGE,
    PROBED,
    REQUIREMENT,
    Change,
    Edit,
    add_probe,
    applied,
    requirement,
)
from bench.edits.environments import copy_of_the_project
from bench.edits.measure import NotShown, wait_for
from bench.settings import BenchError
from tests.repository.tree import PROJECT

TEXT = "the question\nthe answer\n"
EDIT = Edit("some", "some", "vote", "/", (Change("a.txt", "answer", "answer {}"), Change("b.txt", "", "{}\n")), "{}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(TEXT)
    return tmp_path


def test_an_edit_puts_its_marker_into_every_file(folder: Path) -> None:
    with applied(EDIT, folder, 7):
        assert (folder / "a.txt").read_text() == "the question\nthe answer 7\n"
        assert (folder / "b.txt").read_text() == TEXT + "7\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt, BenchError, SystemExit])
def test_the_files_are_as_before_whatever_ends_the_edit(folder: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), applied(EDIT, folder, 7):
        raise error
    assert {file.read_text() for file in folder.iterdir()} == {TEXT}


def test_what_somebody_changes_meanwhile_stays(folder: Path) -> None:
    with applied(EDIT, folder, 7):
        (folder / "a.txt").write_text("another question\nthe answer 7\n")
        (folder / "b.txt").write_text(TEXT)  # without the edit
    assert (folder / "a.txt").read_text() == "another question\nthe answer\n"
    assert (folder / "b.txt").read_text() == TEXT


def test_an_edit_that_finds_nothing_to_change_says_so_and_changes_nothing(folder: Path) -> None:
    (folder / "a.txt").write_text("nothing of the kind\n")
    with pytest.raises(BenchError, match=r"a\.txt has 'answer' 0 times"), applied(EDIT, folder, 7):
        pass
    assert (folder / "b.txt").read_text() == TEXT


def test_the_broken_edit_breaks_the_code(folder: Path) -> None:
    [change] = BROKEN.changes
    (folder / "vote").mkdir()
    (folder / change.file).write_text((PROJECT / change.file).read_text())
    with applied(BROKEN, folder, 7001), pytest.raises(SyntaxError):
        compile((folder / change.file).read_text(), change.file, "exec")


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_each_edit_fits_the_project_as_it_is(edit: Edit, tmp_path: Path) -> None:
    for change in edit.changes:
        (tmp_path / change.file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / change.file).write_text((PROJECT / change.file).read_text())
    with applied(edit, tmp_path, 7001):
        for change in edit.changes:
            text = (tmp_path / change.file).read_text()
            assert "7001" in text
            if change.file.endswith(".py"):
                compile(text, change.file, "exec")


def test_the_requirement_is_pinned_and_hashed_and_new_to_what_runs() -> None:
    edit = requirement(PROJECT, ("vote/requirements.txt",))
    assert edit.name == REQUIREMENT
    [change] = edit.changes
    assert change.new.startswith(f"{PACKAGE}==")
    assert "--hash=sha256:" in change.new
    assert change.new.count("==") == 1
    # what an image for work has, and the environment of `make up` with the load test's packages
    for part in ("vote", "local", "docker", "loadtest"):
        assert f"\n{PACKAGE}==" not in (PROJECT / part / "requirements.txt").read_text()


def test_a_package_that_is_not_locked_is_refused(tmp_path: Path) -> None:
    (tmp_path / "requirements-dev.txt").write_text("another==1.0 \\\n    --hash=sha256:00\n")
    with pytest.raises(BenchError, match=PACKAGE):
        requirement(tmp_path, ("vote/requirements.txt",))


def test_the_probe_asks_for_the_package_in_code_that_still_compiles(tmp_path: Path) -> None:
    (tmp_path / PROBED).parent.mkdir()
    (tmp_path / PROBED).write_text((PROJECT / PROBED).read_text())
    add_probe(tmp_path)
    text = (tmp_path / PROBED).read_text()
    compile(text, PROBED, "exec")
    assert f'find_spec("{MODULE}")' in text


def test_the_copy_is_a_copy_of_what_git_knows_and_fits_every_environment(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "left.txt").write_text("from an earlier run")
    try:
        folder = copy_of_the_project(tmp_path / "copy")
    except BenchError as reason:
        pytest.skip(str(reason))
    assert (folder / "vote" / "app.py").read_text() == (PROJECT / "vote" / "app.py").read_text()
    assert not (folder / "left.txt").exists()
    assert not (folder / ".venv").exists()
    # each changes files of its copy, and says so if it can't
    Compose(folder, tmp_path / "log")
    Tilt(copy_of_the_project(folder), tmp_path / "log")


def test_the_memory_of_other_containers_is_not_ours() -> None:
    stats = "mine-vote-1\t40.5MiB / 128MiB\nmine-db-1\t1GiB / 2GiB\nother-1\t99MiB / 1GiB\n"
    assert memory_of_containers(stats, ["mine-vote-1", "mine-db-1"]) == round(40.5 * 1024**2) + 1024**3


class Page(BaseHTTPRequestHandler):
    """Shows the marker from the third request on; the first one fails."""

    asked = 0

    def do_GET(self) -> None:
        Page.asked += 1
        self.send_response(503 if Page.asked == 1 else 200)
        self.end_headers()
        self.wfile.write(b"marker 7" if Page.asked > 2 else b"as before")

    def log_message(self, format: str, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Page.asked = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_page_is_watched_through_errors_until_it_shows_the_text(url: str) -> None:
    wait_for(url, "marker 7")
    assert Page.asked == 3


def test_who_waits_for_absence_is_not_content_with_an_error(url: str) -> None:
    wait_for(url, "marker 7", there=False)
    assert Page.asked == 2


def test_a_text_that_never_comes_is_told(url: str) -> None:
    with pytest.raises(NotShown, match="shows 'marker 8'"):
        wait_for(url, "marker 8", within=0.2)

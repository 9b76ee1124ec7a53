"""Tilt: edits are put into what runs, its buttons do what they say, and `tilt ci` is green only if all is well."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.repository.tree import PROJECT
from tests.stack.compose import BACK_SECONDS, Compose
from tests.stack.crowd import cast, demanding
from tests.stack.edits import EDITS, GET, INSIDE, SERVED_SECONDS, TEMPLATES, Edit, answered_by, broken_edit, try_out
from tests.stack.tilt import READY_SECONDS, Tilt, need_tilt
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(500)

ROW = re.compile(
    r"^\| (?P<names>`.*`) \| (?P<label>\w*) *\| .* \| (?P<update>\w+) \| (?P<runtime>\w+) \|$", re.MULTILINE
)
COLUMNS = "custom-columns=NAME:.metadata.name,UPDATE:.status.updateStatus,RUNTIME:.status.runtimeStatus"
LOADTEST = Edit("loadtest", "loadtest/web.py", '"title": "Audit"', '"title": "Edited"', "/")

# Breaks something in a copy; says which resource is to fail, and what its log is to say.
Break = Callable[[Path], tuple[str, str]]


@pytest.fixture(scope="module")
def tilt(tmp_path_factory: pytest.TempPathFactory) -> Tilt:
    need_tilt()
    tilt = Tilt(tmp_path_factory.mktemp("tilt") / "tallyho")
    # how fast a busy machine is, is not the question here
    limits = tilt.folder / "loadtest" / "limits.toml"
    limits.write_text(re.sub(r"(?m)^(\w+_ms|error_rate) = .*$", r"\1 = 60_000", limits.read_text()))
    return tilt


@pytest.fixture
def another(tmp_path: Path) -> Tilt:
    """One more copy, to break."""
    need_tilt()
    return Tilt(tmp_path / "tallyho")


@pytest.fixture(scope="module")
def up(docker: None, tilt: Tilt) -> Iterator[Tilt]:
    """Everything, in containers."""
    with tilt.up():
        tilt.until_ready("vote-ready", "worker-ready", "result-ready", "loadtest")
        yield tilt


def counted(compose: Compose, votes: int) -> None:
    eventually(
        lambda: compose.total() == votes, within=BACK_SECONDS, saying=f"{votes} votes", despite=(httpx.HTTPError,)
    )


@pytest.mark.parametrize("arguments", [(), ("--", "--local"), ("--", "vote"), ("--", "--local", "result")])
def test_the_tiltfile_is_read_without_a_warning(tilt: Tilt, arguments: tuple[str, ...]) -> None:
    code, output = tilt.run("alpha", "tiltfile-result", *arguments)
    assert code == 0, output
    assert "WARNING" not in output


def test_a_service_that_does_not_exist_is_refused(tilt: Tilt) -> None:
    code, output = tilt.run("alpha", "tiltfile-result", "--", "votes")
    assert code != 0
    assert "votes" in output


def test_every_resource_has_a_label_and_every_page_a_link(up: Tilt) -> None:
    found = {name: item for name, item in up.resources().items() if name != "(Tiltfile)"}
    labels = {name: set(item["metadata"].get("labels") or ()) for name, item in found.items()}
    assert not [name for name, of_it in labels.items() if not of_it]
    assert set().union(*labels.values()) == {"data", "app", "load", "tests", "tools"}
    links = {link["url"] for item in found.values() for link in item["status"].get("endpointLinks") or ()}
    ports = up.compose.settings
    pages = [("VOTE_PORT", "/"), ("VOTE_PORT", "/docs"), ("RESULT_PORT", "/"), ("RESULT_PORT", "/docs")]
    assert {f"http://localhost:{ports[port]}{path}" for port, path in [*pages, ("LOADTEST_PORT", "/")]} <= links


def test_the_table_of_resources_is_what_tilt_says(up: Tilt) -> None:
    page = (PROJECT / "docs" / "environments.md").read_text(encoding="utf-8")
    rows = list(ROW.finditer(page))
    table = {name: row for row in rows for name in re.findall(r"`([^`]+)`", row["names"])}

    def said() -> dict[str, tuple[str, ...]]:
        lines = up.run("get", "uiresources", "-o", COLUMNS, "--port", up.compose.settings["TILT_PORT"])[1].splitlines()
        return {name: tuple(states) for name, *states in (line.split() for line in lines[1:])}

    states = {name: (row["update"], row["runtime"]) for name, row in table.items()}
    eventually(lambda: said() == states, within=2 * READY_SECONDS, saying=f"the documented table, not {said()}")
    labels = {name: " ".join(item["metadata"].get("labels") or ()) for name, item in up.resources().items()}
    assert labels == {name: row["label"] for name, row in table.items()}
    assert COLUMNS in page


def test_logs_are_as_people_read_them(up: Tilt) -> None:
    shown = up.log.read_text(errors="replace")
    for service in ("vote", "worker", "result"):
        assert re.search(rf"^ *{service} │ \d\d:\d\d:\d\d \[info\] serving address=", shown, re.MULTILINE)
    assert '"event":' not in shown


@pytest.mark.parametrize("edit", TEMPLATES, ids=lambda edit: edit.service)
def test_an_edit_of_a_template_is_put_into_the_container_and_starts_nothing_again(up: Tilt, edit: Edit) -> None:
    def look(path: str) -> str:
        return up.compose.exec(edit.service, "python", "-c", GET, f":{INSIDE[edit.service]}{path}")

    before = answered_by(look("/"))
    try_out(edit, up.folder, look, (AssertionError,))
    assert answered_by(look("/")) == before


@pytest.mark.parametrize("edit", [*EDITS, LOADTEST], ids=lambda edit: edit.service)
def test_an_edit_is_put_into_the_container_that_runs_and_fails_no_request(up: Tilt, edit: Edit) -> None:
    container = up.compose.inspect(edit.service)["Id"]

    def look(path: str) -> str:
        return up.compose.exec(edit.service, "python", "-c", GET, f":{INSIDE[edit.service]}{path}")

    with demanding(up.compose.vote_url, up.compose.result_url) as seen:
        try_out(edit, up.folder, look, (AssertionError,) if edit is LOADTEST else ())
    assert set(seen) == {"answered"}, seen
    assert up.compose.inspect(edit.service)["Id"] == container


def test_an_edit_of_requirements_is_installed_and_fails_no_request(up: Tilt) -> None:
    container = up.compose.inspect("vote")["Id"]
    before = answered_by(httpx.get(up.compose.vote_url, timeout=10).text)

    def is_replaced() -> bool:
        return answered_by(httpx.get(up.compose.vote_url, timeout=10).text) != before

    with demanding(up.compose.vote_url, up.compose.result_url) as seen:
        with (up.folder / "vote" / "requirements.txt").open("a") as file:
            file.write("# edited\n")
        eventually(is_replaced, within=SERVED_SECONDS, saying="a new process of vote answers")
    assert set(seen) == {"answered"}, seen
    assert up.compose.inspect("vote")["Id"] == container


def test_a_broken_edit_turns_its_service_red_and_changes_nothing_for_voters(up: Tilt) -> None:
    up.until_ready("vote-ready")
    with demanding(up.compose.vote_url, up.compose.result_url) as seen:
        with broken_edit(up.compose, "vote") as problem:
            eventually(lambda: up.state("vote-ready")[1] == "error", within=BACK_SECONDS, saying="Tilt shows it in red")
            assert f"a broken edit of vote: {problem}" in up.log.read_text(errors="replace")
        up.until_ready("vote-ready")
    assert set(seen) == {"answered"}, seen


def test_buttons_seed_and_reset(up: Tilt) -> None:
    up.until_ready("vote-ready", "worker-ready", "result-ready")
    before = up.compose.total()
    up.press("seed-votes", VOTES="70")
    counted(up.compose, before + 70)
    up.press("reset-votes")
    counted(up.compose, 0)


def test_buttons_stop_the_worker_and_start_it_again(up: Tilt) -> None:
    before = up.compose.total()
    up.press("stop-the-worker")
    assert not up.compose.inspect("worker")["State"]["Running"]
    cast(up.compose.vote_url, "a")
    assert up.compose.queued() == 1
    eventually(lambda: up.state("worker-ready")[1] == "error", within=BACK_SECONDS, saying="Tilt shows it in red")
    up.press("start-the-worker")
    counted(up.compose, before + 1)
    up.until_ready("worker-ready")


@pytest.mark.parametrize(("button", "service"), [("restart-redis", "redis"), ("restart-postgresql", "db")])
def test_a_button_restarts_a_server_and_the_votes_stay(up: Tilt, button: str, service: str) -> None:
    before, started = up.compose.total(), up.compose.inspect(service)["State"]["StartedAt"]
    up.press(button)
    assert up.compose.inspect(service)["State"]["StartedAt"] > started
    cast(up.compose.vote_url, "b")
    counted(up.compose, before + 1)


def test_a_button_audits(up: Tilt) -> None:
    up.press("audit")


def test_a_button_starts_a_load_test_whose_verdict_is_in_the_log(up: Tilt) -> None:
    up.until_ready("vote-ready", "worker-ready", "result-ready", "loadtest")
    up.press("start-the-load", USERS="10", RUN_TIME="5s")
    shown = up.log.read_text(errors="replace")
    assert "│ Audit: every vote was found" in shown
    assert "│ PASSED; the report: " in shown


def test_ci_is_green_from_nothing(docker: None, another: Tilt) -> None:
    # the other tests of the project start servers of their own, and need no Tilt
    code, output = another.ci("vote", "worker", "result", "loadtest", "test-unit", "test-votes")
    assert code == 0, output[-3000:]


def break_the_syntax(tree: Path) -> tuple[str, str]:
    file = tree / "vote" / "app.py"
    file.write_text(file.read_text() + "\nthis is no Python\n")
    return "vote", "SyntaxError"


def break_the_health(tree: Path) -> tuple[str, str]:
    file = tree / "vote" / "app.py"
    served = 'create_website("vote", description=DESCRIPTION, health=health)'
    assert served in file.read_text()
    file.write_text(file.read_text().replace(served, f"{served}; health.stopping = True"))
    return "vote", "is unhealthy"


def break_a_test(tree: Path) -> tuple[str, str]:
    (tree / "tests" / "unit" / "common" / "test_broken.py").write_text("def test_fails() -> None:\n    assert 1 == 2\n")
    return "test-unit", "test_broken.py"


@pytest.mark.parametrize("breaks", [break_the_syntax, break_the_health, break_a_test])
def test_ci_is_red_when_something_is_broken(docker: None, another: Tilt, breaks: Break) -> None:
    resource, reason = breaks(another.folder)
    code, output = another.ci(resource)
    assert code == 1, output[-3000:]
    assert reason in output


def test_up_with_a_service_starts_only_that_and_what_it_needs(docker: None, another: Tilt) -> None:
    with another.up("vote"):
        another.until_ready("vote-ready")
        running = set(another.compose.run("ps", "--services", "--status", "running").split())
        assert running == {"vote", "redis"}
        cast(another.compose.vote_url, "a")


def test_up_without_docker_runs_the_processes_of_make_up(another: Tilt) -> None:
    with another.up("--local", "vote", "worker", "result"):
        another.until_ready("redis", "postgres", "vote", "worker", "result")
        cast(another.compose.vote_url, "a")
        tally = f"http://localhost:{another.compose.settings['RESULT_PORT']}/api/tally"
        eventually(lambda: httpx.get(tally, timeout=10).json()["total"] == 1, within=BACK_SECONDS)
        another.press("seed-votes", VOTES="30")
        eventually(lambda: httpx.get(tally, timeout=10).json()["total"] == 31, within=BACK_SECONDS)
        another.press("audit")

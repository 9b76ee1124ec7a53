"""Plain `docker compose up`, for work: an edit of any service is in what runs a moment later."""

import os
import subprocess
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.pages import expect_state, expect_votes, vote
from tests.e2e.visitors import Visitor
from tests.stack.compose import COMMAND_SECONDS, Compose, inspect
from tests.stack.crowd import demanding
from tests.stack.edits import EDITS, GET, INSIDE, SERVED_SECONDS, TEMPLATES, Edit, answered_by, broken_edit, try_out
from tests.waiting import BUSY_SECONDS, eventually

pytestmark = pytest.mark.timeout(300)

STOP_SECONDS = 10.0  # after which Docker kills


def test_a_vote_in_a_browser_is_on_the_dashboard_that_the_ballot_links_to(work: Compose, visitor: Visitor) -> None:
    ballot = visitor.open(work.vote_url)
    vote(ballot, "Dogs")
    ballot.get_by_role("link", name="See the result").click()
    expect_state(ballot, "live")
    expect_votes(ballot, b=1)
    assert ballot.url.startswith(work.result_url)
    ballot.get_by_role("link", name="Vote").click()
    expect(ballot).to_have_url(f"{work.vote_url}/")


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.service)
def test_an_edit_is_in_what_runs_and_fails_no_request(work: Compose, edit: Edit) -> None:
    def look(path: str) -> str:
        return work.exec(edit.service, "python", "-c", GET, f":{INSIDE[edit.service]}{path}")

    with demanding(work.vote_url, work.result_url) as seen:
        try_out(edit, work.folder, look, ())
    assert set(seen) == {"answered"}, seen


def test_a_broken_edit_changes_nothing_for_voters_and_is_told_on_every_page(work: Compose) -> None:
    before = answered_by(httpx.get(work.vote_url, timeout=10).text)
    with demanding(work.vote_url, work.result_url) as seen:
        with broken_edit(work, "vote"):
            assert answered_by(httpx.get(work.vote_url, timeout=10).text) == before
        eventually(lambda: answered_by(httpx.get(work.vote_url, timeout=10).text) != before, within=SERVED_SECONDS)
    assert set(seen) == {"answered"}, seen


@pytest.mark.parametrize("service", ["vote", "worker", "result"])
def test_it_is_restarted_without_a_gap_by_sighup(work: Compose, service: str) -> None:
    started = work.run("logs", "--no-color", service).count("has taken over")
    with demanding(work.vote_url, work.result_url) as seen:
        work.run("kill", "--signal", "HUP", service)
        eventually(
            lambda: work.run("logs", "--no-color", service).count("has taken over") > started, within=SERVED_SECONDS
        )
    assert set(seen) == {"answered"}, seen


def test_every_service_goes_on_counting_after_the_edits(work: Compose, visitor: Visitor) -> None:
    work.until_healthy("vote", "worker", "result")
    before = work.tally()
    vote(visitor.open(work.vote_url), "Cats")
    expect_votes(visitor.open(work.result_url), a=before["a"] + 1)


@pytest.mark.parametrize(("service", "port"), [("vote", "VOTE_PORT"), ("result", "RESULT_PORT")])
def test_the_log_says_at_which_address_a_page_is(work: Compose, service: str, port: str) -> None:
    assert f"published url=http://localhost:{work.settings[port]}\n" in work.run("logs", "--no-color", service)


@pytest.mark.parametrize("edit", TEMPLATES, ids=lambda edit: edit.service)
def test_an_edit_of_a_template_shows_and_starts_nothing_again(work: Compose, edit: Edit) -> None:
    work.until_healthy("vote", "result")

    def look(path: str) -> str:
        return work.exec(edit.service, "python", "-c", GET, f":{INSIDE[edit.service]}{path}")

    before = answered_by(look("/"))
    try_out(edit, work.folder, look, (AssertionError, subprocess.TimeoutExpired))
    assert answered_by(look("/")) == before


@pytest.mark.parametrize("service", ["vote", "worker", "result"])
def test_it_stops_in_time_with_a_success(work: Compose, service: str) -> None:
    seconds, state = work.stop_and_start(service)
    assert state == {"Status": "exited", "ExitCode": 0, "OOMKilled": False}
    assert seconds < STOP_SECONDS + BUSY_SECONDS


def test_with_broken_code_and_nothing_running_it_starts_again_and_again_until_it_is_mended(work: Compose) -> None:
    file = work.folder / "vote" / "app.py"
    before = file.read_text(encoding="utf-8")
    work.run("stop", "vote")
    try:
        file.write_text(f"{before}this is no Python\n", encoding="utf-8")
        work.run("start", "vote")
        eventually(lambda: "SyntaxError" in work.run("logs", "--no-color", "vote"), within=SERVED_SECONDS)
        eventually(lambda: "exited with code 1; restarting in" in work.run("logs", "vote"), within=SERVED_SECONDS)
        assert not work.is_healthy("vote")
    finally:
        file.write_text(before, encoding="utf-8")
    work.until_healthy("vote")


def test_no_registry_is_asked_for_an_image_that_is_built_here(docker: None, tree: Path) -> None:
    name = f"tallyho-test-nowhere-{os.getpid()}"
    (tree / "nowhere.yml").write_text(f"services: {{vote: {{image: {name}}}}}\n")
    compose = Compose(tree, "docker-compose.yml", "nowhere.yml")
    try:
        command = ["docker", "compose", "-f", "docker-compose.yml", "-f", "nowhere.yml", "create", "vote"]
        done = subprocess.run(
            command, cwd=tree, env=compose.environ, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
        assert inspect(name)["Id"]
        assert "vote Pulling" not in done.stderr
        assert "Warning" not in done.stderr
    finally:
        compose.remove()
        subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)

"""Plain `docker compose up`, for work: an edit of any service is in what runs a moment later."""

import subprocess

import pytest
from playwright.sync_api import expect

from tests.e2e.pages import expect_state, expect_votes, vote
from tests.e2e.visitors import Visitor
from tests.stack.compose import Compose
from tests.stack.edits import EDITS, GET, INSIDE, Edit, try_out

pytestmark = pytest.mark.timeout(300)


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
def test_an_edit_is_in_what_runs(work: Compose, edit: Edit) -> None:
    def look(path: str) -> str:
        return work.exec(edit.service, "python", "-c", GET, f":{INSIDE[edit.service]}{path}")

    try_out(edit, work.folder, look, (AssertionError, subprocess.TimeoutExpired))


def test_every_service_goes_on_counting_after_the_edits(work: Compose, visitor: Visitor) -> None:
    work.until_healthy("vote", "worker", "result")
    before = work.tally()
    vote(visitor.open(work.vote_url), "Cats")
    expect_votes(visitor.open(work.result_url), a=before["a"] + 1)

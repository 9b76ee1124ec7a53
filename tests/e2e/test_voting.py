"""A vote travels from the ballot of one browser to the dashboard of another."""

from urllib.parse import parse_qs

from playwright.sync_api import Page, Request, expect

from local.running import Running
from tests.e2e.conftest import reset
from tests.e2e.pages import expect_state, expect_total, expect_votes, vote
from tests.e2e.visitors import Visitor, Visitors
from tests.system import System

VOTE_TWICE = """
async () => {
  const cast = (vote) => fetch("/api/votes", {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({vote}),
  });
  const answers = await Promise.all([cast("a"), cast("a"), cast("a")]);
  return answers.map((answer) => answer.status);
}
"""


def test_a_vote_reaches_an_open_dashboard_without_a_reload(poll: Running, visitors: Visitors) -> None:
    dashboard = visitors.new().open(poll.result_url)
    expect_total(dashboard, "No votes yet")
    expect_state(dashboard, "live")
    dashboard.evaluate("window.isTheSamePage = true")
    vote(visitors.new().open(poll.vote_url), "Cats")
    expect_total(dashboard, "1 vote")
    expect_votes(dashboard, a=1, b=0)
    assert dashboard.evaluate("window.isTheSamePage")


def test_a_changed_vote_moves_from_one_bar_to_the_other_and_adds_none(poll: Running, visitors: Visitors) -> None:
    dashboard = visitors.new().open(poll.result_url)
    ballot = visitors.new().open(poll.vote_url)
    vote(ballot, "Cats")
    expect_votes(dashboard, a=1, b=0)
    vote(ballot, "Dogs")
    expect_votes(dashboard, a=0, b=1)
    expect_total(dashboard, "1 vote")
    expect(dashboard.locator('li[data-key="b"] .row-percent')).to_have_text("100.0%")


def test_two_browsers_see_the_same(poll: Running, visitors: Visitors) -> None:
    dashboards = [visitors.new().open(poll.result_url) for _ in range(2)]
    for label in ("Cats", "Cats", "Dogs"):
        vote(visitors.new().open(poll.vote_url), label)
    for dashboard in dashboards:
        expect_votes(dashboard, a=2, b=1)
        expect_total(dashboard, "3 votes")
    assert dashboards[0].locator("#tally").inner_text() == dashboards[1].locator("#tally").inner_text()


def test_the_recorded_choice_is_still_marked_after_a_reload(poll: Running, visitor: Visitor) -> None:
    ballot = visitor.open(poll.vote_url)
    expect(ballot.locator(".is-chosen")).to_have_count(0)
    vote(ballot, "Dogs")
    ballot.reload()
    expect(ballot.locator(".is-chosen")).to_have_count(1)
    expect(ballot.locator(".is-chosen")).to_contain_text("Dogs")


def test_votes_at_the_same_moment_from_one_browser_are_of_one_voter(poll: Running, visitor: Visitor) -> None:
    ballot = visitor.open(poll.vote_url)
    assert ballot.evaluate(VOTE_TWICE) == [202, 202, 202]
    dashboard = visitor.open(poll.result_url)
    expect_votes(dashboard, a=1)
    expect_total(dashboard, "1 vote")


def test_of_two_tabs_the_one_that_votes_last_has_the_higher_number(poll: Running, visitor: Visitor) -> None:
    """Whichever of them was opened first: the script raises the number at each sending."""
    first, second = visitor.open(poll.vote_url), visitor.open(poll.vote_url)
    sent: list[int] = []
    for page in (first, second):
        page.on("request", lambda request: sent.append(_number_in(request)) if request.method == "POST" else None)
    for page, label in ((second, "Cats"), (first, "Dogs"), (first, "Cats"), (second, "Dogs")):
        vote(page, label)
    assert sent == sorted(set(sent))
    assert len(sent) == 4


def _number_in(request: Request) -> int:
    return int(parse_qs(request.post_data or "")["number"][0])


def test_after_a_reset_a_ballot_claims_no_vote(poll: Running, system: System, visitor: Visitor) -> None:
    ballot = visitor.open(poll.vote_url)
    vote(ballot, "Cats")
    reset(system)
    ballot.reload()
    expect(ballot.locator(".is-chosen")).to_have_count(0)
    expect(ballot.get_by_role("status")).to_have_count(0)


def test_the_ballot_works_without_javascript(poll: Running, visitors: Visitors) -> None:
    visitor = visitors.new(java_script_enabled=False)
    ballot = visitor.open(poll.vote_url)
    vote(ballot, "Cats")
    vote(ballot, "Dogs")
    dashboard = visitors.new().open(poll.result_url)
    expect_votes(dashboard, a=0, b=1)


def test_voting_needs_no_mouse(poll: Running, visitor: Visitor) -> None:
    ballot = visitor.open(poll.vote_url)
    _tab_to(ballot, "a")
    ballot.keyboard.press("Enter")
    expect(ballot.get_by_role("status")).to_contain_text("Cats")
    _tab_to(ballot, "b")
    ballot.keyboard.press("Space")
    expect(ballot.get_by_role("status")).to_contain_text("Dogs")


def test_the_ballot_leads_to_the_dashboard_and_back(poll: Running, visitor: Visitor) -> None:
    page = visitor.open(poll.vote_url)
    page.get_by_role("link", name="See the result").click()
    expect(page).to_have_url(f"{poll.result_url}/")
    page.get_by_role("link", name="Vote", exact=True).click()
    expect(page).to_have_url(f"{poll.vote_url}/")


def _tab_to(page: Page, key: str) -> None:
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.value") == key:
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", "where the keyboard is can't be seen"
            return
    raise AssertionError(f"the keyboard does not reach the option {key}")

"""The dashboard is live, and honest when it can't be."""

import os
import signal

from playwright.sync_api import expect

from local.running import Running
from tests.e2e.pages import expect_state, expect_total, expect_votes, vote
from tests.e2e.visitors import Visitor, Visitors
from tests.system import System, paused


def test_a_dashboard_says_stale_while_result_hangs_and_recovers_by_itself(poll: Running, visitors: Visitors) -> None:
    viewer = visitors.new()
    dashboard = viewer.open(poll.result_url)
    expect_state(dashboard, "live")
    with paused(poll.pids["result"]):
        vote(visitors.new().open(poll.vote_url), "Cats")
        expect_state(dashboard, "stale")
        expect(dashboard.locator("#state-text")).to_contain_text("Stale since")
    expect_state(dashboard, "live")
    expect_total(dashboard, "1 vote")
    viewer.forgive()  # a browser writes a broken WebSocket to its console


def test_a_dashboard_says_stale_while_the_database_hangs(poll: Running, visitor: Visitor) -> None:
    dashboard = visitor.open(poll.result_url)
    expect_state(dashboard, "live")
    with paused(poll.pids["postgres"]):
        expect_state(dashboard, "stale")
        expect(dashboard.locator("#state-text")).to_contain_text("trying again")
    expect_state(dashboard, "live")


def test_a_dashboard_finds_back_when_result_was_killed(poll: Running, system: System, visitors: Visitors) -> None:
    viewer = visitors.new()
    dashboard = viewer.open(poll.result_url)
    expect_state(dashboard, "live")
    os.kill(poll.pids["result"], signal.SIGKILL)
    vote(visitors.new().open(poll.vote_url), "Cats")
    expect(dashboard.locator("#total")).to_have_text("1 vote")
    expect_state(dashboard, "live")
    viewer.forgive()


def test_where_websockets_are_blocked_the_dashboard_asks_again_and_again(poll: Running, visitors: Visitors) -> None:
    viewer = visitors.new()
    viewer.context.route_web_socket("**/ws", lambda socket: socket.close())
    dashboard = viewer.open(poll.result_url)
    expect(dashboard.locator("#state-text")).to_contain_text("by polling")
    vote(visitors.new().open(poll.vote_url), "Dogs")
    expect_votes(dashboard, a=0, b=1)
    expect_state(dashboard, "live")


def test_without_javascript_the_dashboard_is_a_snapshot_that_can_be_refreshed(
    poll: Running, visitors: Visitors
) -> None:
    ballot = visitors.new().open(poll.vote_url)
    visitor = visitors.new(java_script_enabled=False)
    dashboard = visitor.open(poll.result_url)
    expect_state(dashboard, "snapshot")
    expect_total(dashboard, "No votes yet")
    live = visitors.new().open(poll.result_url)
    vote(ballot, "Cats")
    expect_votes(live, a=1)
    dashboard.get_by_role("link", name="Refresh").click()
    expect_votes(dashboard, a=1, b=0)
    expect_total(dashboard, "1 vote")


def test_a_screen_reader_hears_of_votes_but_not_of_each(poll: Running, visitors: Visitors) -> None:
    dashboard = visitors.new().open(poll.result_url)
    expect_state(dashboard, "live")
    dashboard.evaluate(
        """() => {
          window.said = [];
          const region = document.querySelector("[aria-live]");
          new MutationObserver(() => window.said.push(region.textContent))
            .observe(region, {childList: true, characterData: true, subtree: true});
        }"""
    )
    for _ in range(3):
        vote(visitors.new().open(poll.vote_url), "Cats")
    expect_votes(dashboard, a=3)
    expect(dashboard.locator("[aria-live]")).to_contain_text("3 votes")
    assert len(dashboard.evaluate("window.said")) <= 2

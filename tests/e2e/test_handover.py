"""Result is replaced while somebody watches: the dashboard stays live, and its numbers never go back."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from playwright.sync_api import WebSocketRoute, expect

from local.running import Running
from tests.e2e.pages import expect_state, expect_total
from tests.e2e.visitors import Visitors
from tests.supervisor import supervised
from tests.waiting import eventually

HANDOVERS = 3
VOTES_BETWEEN = 10

# Notes every state and every total that the page shows.
WATCH = """() => {
  window.shown = {states: [], totals: []};
  const state = document.getElementById("state"), total = document.getElementById("total");
  new MutationObserver(() => window.shown.states.push(state.dataset.kind))
    .observe(state, {attributes: true, attributeFilter: ["data-kind"]});
  new MutationObserver(() => window.shown.totals.push(parseInt(total.textContent.replace(",", "")) || 0))
    .observe(total, {childList: true, characterData: true, subtree: true});
}"""


def test_a_dashboard_stays_live_and_never_goes_back_while_result_is_replaced(
    poll: Running, visitors: Visitors, tmp_path: Path
) -> None:
    visitor = visitors.new()
    with supervised("result", tmp_path / "log", DATABASE_URL=poll.database_url) as result:
        dashboard = visitor.open(result.url)
        expect_state(dashboard, "live")
        expect(dashboard.locator("#rate")).to_be_visible()
        dashboard.evaluate(WATCH)
        for handover in range(1, HANDOVERS + 1):
            for _ in range(VOTES_BETWEEN):
                httpx.post(f"{poll.vote_url}/api/votes", json={"vote": "a"}).raise_for_status()
            result.hand_over()
            expect_total(dashboard, f"{handover * VOTES_BETWEEN} votes")
        httpx.post(f"{poll.vote_url}/api/votes", json={"vote": "b"}).raise_for_status()
        expect_total(dashboard, f"{HANDOVERS * VOTES_BETWEEN + 1} votes")
        expect_state(dashboard, "live")
        shown = dashboard.evaluate("window.shown")
        dashboard.close()

    assert set(shown["states"]) <= {"live"}
    assert shown["totals"] == sorted(shown["totals"])


def snapshot(total: int, *, seconds_ago: float) -> str:
    """The tally as a process has read it."""
    read_at = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()
    option = {"key": "a", "label": "Cats", "votes": total, "percent": 100.0}
    return json.dumps({"question": "?", "options": [option], "total": total, "as_of": read_at, "read_at": read_at})


def test_after_a_restart_the_dashboard_comes_back_and_waits_for_what_is_not_older(
    poll: Running, visitors: Visitors
) -> None:
    """The process that it comes to has read the tally before the one that it came from."""
    sockets: list[WebSocketRoute] = []

    def connect(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.send(snapshot(20, seconds_ago=1) if len(sockets) == 1 else snapshot(10, seconds_ago=2))

    visitor = visitors.new()
    visitor.context.route_web_socket("**/ws", connect)
    dashboard = visitor.open(poll.result_url)
    expect_total(dashboard, "20 votes")
    dashboard.evaluate(WATCH)

    sockets[0].close(code=1012)
    eventually(lambda: dashboard.evaluate("1") and len(sockets) == 2, within=30)
    sockets[1].send(snapshot(21, seconds_ago=0))

    expect_total(dashboard, "21 votes")
    assert dashboard.evaluate("window.shown.totals") == [21]

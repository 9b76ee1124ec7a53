"""The pipeline page is live, and says plainly what is down; voters are told the same.

Its pictures are in `.data/screenshots/` after each run.
"""

import re

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect
from redis import Redis

from local.running import Running
from tests.e2e.pages import expect_state, keep_picture, vote
from tests.e2e.visitors import Visitors
from tests.system import paused

SIZES = {"phone": (360, 740), "desktop": (1280, 800), "beamer": (1920, 1080)}
LOOKS = (("light", "desktop"), ("dark", "desktop"), ("light", "phone"), ("dark", "phone"), ("light", "beamer"))

pytestmark = pytest.mark.timeout(120)


def open_pipeline(visitors: Visitors, poll: Running, scheme: str = "light", size: str = "desktop") -> Page:
    width, height = SIZES[size]
    visitor = visitors.new(viewport={"width": width, "height": height}, color_scheme=scheme)
    return visitor.open(f"{poll.result_url}/pipeline")


def open_all(visitors: Visitors, poll: Running) -> dict[str, Page]:
    """The page in both schemes and all sizes, by their names."""
    return {f"{scheme}-{size}": open_pipeline(visitors, poll, scheme, size) for scheme, size in LOOKS}


def expect_title(page: Page, text: str) -> None:
    expect(page.locator("#title")).to_contain_text(text)


def keep_pictures(pages: dict[str, Page], of: str) -> None:
    for name, page in pages.items():
        keep_picture(page, f"pipeline-{of}-{name}")


def test_votes_are_seen_on_their_way_and_the_dashboard_leads_there(poll: Running, visitors: Visitors) -> None:
    page = visitors.new().open(poll.result_url)
    expect_state(page, "live")
    page.get_by_role("link", name="Pipeline").click()
    expect_state(page, "live")
    before = number(page, "recorded")
    for label in ("Cats", "Dogs", "Cats"):
        vote(visitors.new().open(poll.vote_url), label)
    expect(panel(page, "recorded")).to_have_text(f"{before + 3:,}")
    expect(panel(page, "accepted")).to_have_text(f"{before + 3:,}")
    expect(page.locator("#workers")).to_contain_text("counts")
    chart = page.get_by_role("img", name="Accepted, a second, last minute: now")
    expect(chart).to_be_visible()
    assert chart.evaluate("svg => Math.max(...[...svg.children].map(stroke => stroke.getBBox().height))") > 0
    keep_pictures(open_all(visitors, poll), "well")


def test_while_the_worker_hangs_voters_and_operators_are_told(poll: Running, visitors: Visitors) -> None:
    pages = open_all(visitors, poll)
    page = pages["light-desktop"]
    expect_title(page, "Votes are counted as they come.")
    page.evaluate(WATCH_ANNOUNCER)
    ballot = visitors.new().open(poll.vote_url)
    with paused(poll.pids["worker"]):
        vote(ballot, "Cats")
        vote(visitors.new().open(poll.vote_url), "Dogs")
        expect_title(page, "Counting is delayed: 2 votes wait, none is lost.")
        ballot.reload()
        expect(ballot.get_by_role("status")).to_have_text("Your vote for Cats is recorded, counting is delayed.")
        keep_picture(ballot, "ballot-delayed")
        expect_title(page, "Nobody is counting: 2 votes wait, none is lost.")
        for each in pages.values():
            expect_title(each, "Nobody is counting")
        keep_pictures(pages, "nobody-counts")
    expect_title(page, "Votes are counted as they come.")
    expect(panel(page, "waiting")).to_have_text("0")
    # one announcement for each state, however often the figures changed
    assert 3 <= len(page.evaluate("window.said")) <= 4


def test_while_redis_hangs_it_is_said_that_voting_is_refused(poll: Running, visitors: Visitors) -> None:
    pages = open_all(visitors, poll)
    page = pages["light-desktop"]
    expect_state(page, "live")
    with paused(poll.pids["redis"]):
        for each in pages.values():
            expect_title(each, "Redis can't be reached: voting is refused, nothing is lost.")
        expect(panel(page, "waiting")).to_have_text("?")
        expect(panel(page, "workers")).to_have_text("nobody")
        keep_pictures(pages, "redis-gone")
    expect_title(page, "Votes are counted as they come.")


def test_while_redis_is_full_it_is_said_that_votes_are_refused(poll: Running, visitors: Visitors) -> None:
    pages = open_all(visitors, poll)
    page = pages["light-desktop"]
    expect_title(page, "Votes are counted as they come.")
    expect(panel(page, "voting")).to_have_text("1")
    expect(page.locator("#services")).to_contain_text("takes votes")
    with Redis.from_url(poll.redis_url) as redis:
        redis.config_set("maxmemory", 1)
        try:
            refused = httpx.post(poll.vote_url, data={"vote": "a"})
            assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
            for each in pages.values():
                expect_title(each, "Votes are refused: Redis has no memory left.")
            expect(page.locator('[data-panel="voting"] .panel-note')).to_have_text("1 of 1 not accepted in 10 s")
            expect(page.locator("#services")).to_contain_text("refuses votes")
            keep_pictures(pages, "votes-refused")
        finally:
            redis.config_set("maxmemory", 0)
    expect_title(page, "Voters are asked to vote again: 1 vote may not have been recorded.")
    keep_picture(page, "pipeline-votes-in-doubt")
    expect(page.locator("#title")).to_have_text("Votes are counted as they come.", timeout=30_000)


def test_while_redis_holds_back_writes_it_is_said_that_votes_are_refused(poll: Running, visitors: Visitors) -> None:
    page = open_pipeline(visitors, poll)
    expect_title(page, "Votes are counted as they come.")
    with Redis.from_url(poll.redis_url) as redis:
        redis.client_pause(60_000, all=False)
        expect_title(page, "Votes are refused: Redis holds back whatever would change something.")
        redis.client_unpause()
    expect_title(page, "Votes are counted as they come.")


def test_while_no_vote_service_runs_it_is_said_that_nobody_can_vote(poll: Running, visitors: Visitors) -> None:
    pages = open_all(visitors, poll)
    page = pages["light-desktop"]
    expect_state(page, "live")
    with paused(poll.pids["vote"]):
        for each in pages.values():
            expect(each.locator("#title")).to_have_text("No vote service is running: nobody can vote.", timeout=30_000)
        expect(panel(page, "voting")).to_have_text("none")
        expect(page.locator("#services")).to_contain_text("silent")
        keep_pictures(pages, "nobody-takes-votes")
    expect_title(page, "Votes are counted as they come.")


def test_while_the_database_hangs_it_is_said_that_counting_waits(poll: Running, visitors: Visitors) -> None:
    page = open_pipeline(visitors, poll)
    expect_state(page, "live")
    with paused(poll.pids["postgres"]):
        vote(visitors.new().open(poll.vote_url), "Cats")
        expect_title(page, "The database can't be reached: counting waits, 1 vote waits, none is lost.")
        expect(page.locator("#workers-empty")).to_have_text(re.compile("Who counts can.t be known"))
        keep_picture(page, "pipeline-database-gone")
    expect_title(page, "Votes are counted as they come.")


def test_a_page_that_hears_nothing_says_so_and_recovers(poll: Running, visitors: Visitors) -> None:
    visitor = visitors.new()
    page = visitor.open(f"{poll.result_url}/pipeline")
    expect_state(page, "live")
    with paused(poll.pids["result"]):
        expect_state(page, "stale")
        expect(page.locator("#state-text")).to_contain_text("Stale since")
        keep_picture(page, "pipeline-stale")
    expect_state(page, "live")
    visitor.forgive()  # a browser writes a request that failed to its console


def test_without_javascript_the_page_is_a_snapshot_that_can_be_refreshed(poll: Running, visitors: Visitors) -> None:
    page = visitors.new(java_script_enabled=False).open(f"{poll.result_url}/pipeline")
    expect_state(page, "snapshot")
    before = number(page, "accepted")
    vote(visitors.new().open(poll.vote_url), "Cats")
    page.get_by_role("link", name="Refresh").click()
    expect(panel(page, "accepted")).to_have_text(f"{before + 1:,}")
    keep_picture(page, "pipeline-without-javascript")


WATCH_ANNOUNCER = """() => {
  window.said = [];
  const region = document.querySelector("[aria-live]");
  new MutationObserver(() => window.said.push(region.textContent))
    .observe(region, {childList: true, characterData: true, subtree: true});
}"""


def panel(page: Page, name: str) -> Locator:
    return page.locator(f'[data-panel="{name}"] .panel-value')


def number(page: Page, name: str) -> int:
    return int(panel(page, name).inner_text().replace(",", ""))

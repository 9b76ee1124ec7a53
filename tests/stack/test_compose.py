"""The system in containers as it is run for others: it counts every vote once, whatever dies and however many run."""

import subprocess

import httpx
import pytest
from playwright.sync_api import Page

from tests.e2e.pages import expect_state, expect_total, expect_votes, vote
from tests.e2e.visitors import Visitor, Visitors
from tests.stack.compose import BACK_SECONDS, Compose
from tests.stack.crowd import cast, crowd
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(300)

RESULTS = WORKERS = (1, 2, 3)
MANY = 12  # viewers, of which one at least watches each dashboard
GET = "import urllib.request as u; print(u.urlopen('http://localhost:9100/metrics').read().decode())"


def metrics(url: str) -> str:
    return httpx.get(f"{url}/metrics", timeout=10).raise_for_status().text


def value(text: str, name: str) -> float:
    """The value of a metric without labels."""
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


def of_result(use: Compose, index: int, name: str) -> float:
    return value(metrics(f"http://localhost:{use.port('result', 5001, index=index)}"), name)


def expect_counted(use: Compose, votes: int) -> None:
    """So many votes are in the table and on the dashboard, and nothing is left over."""
    eventually(lambda: use.total() == votes, within=BACK_SECONDS, saying=f"{votes} votes", despite=(httpx.HTTPError,))
    assert (use.recount(), use.queued(), use.queued("votes:rejected")) == (votes, 0, 0)


def test_a_vote_in_a_browser_is_on_the_dashboard(use: Compose, visitor: Visitor) -> None:
    before = use.tally()
    dashboard = visitor.open(use.result_url)
    vote(visitor.open(use.vote_url), "Cats")
    expect_votes(dashboard, a=before["a"] + 1)


@pytest.mark.parametrize("service", ["vote", "worker", "result", "redis", "db"])
def test_a_killed_container_comes_back_and_every_accepted_vote_is_counted_once(use: Compose, service: str) -> None:
    before = use.total()
    with crowd(use.vote_url) as people:
        use.kill(service)
        use.until_healthy(service)
        people.until_more(5)
    use.until_healthy("vote", "worker", "result")
    expect_counted(use, before + people.accepted)


def test_a_restart_keeps_the_votes(use: Compose) -> None:
    cast(use.vote_url, "b")
    eventually(lambda: use.queued() == 0, within=BACK_SECONDS)
    before = use.recount()
    use.run("restart", "--timeout", "5")
    use.until_healthy("redis", "db", "vote", "worker", "result")
    expect_counted(use, before)


def test_three_workers_count_once_and_one_takes_over_from_one_that_is_killed(use: Compose) -> None:
    before = use.total()

    def counting() -> list[int]:
        return [i for i in WORKERS if value(use.exec("worker", "python", "-c", GET, index=i), "counting")]

    use.run("up", "--detach", "--wait", "--no-recreate", "--scale", "worker=3")
    [first] = eventually(counting, within=BACK_SECONDS)
    with crowd(use.vote_url) as people:
        use.kill("worker", index=first)
        people.until_more(5)
    expect_counted(use, before + people.accepted)
    assert len(eventually(counting, within=BACK_SECONDS, despite=(AssertionError,))) == 1
    use.run("up", "--detach", "--wait", "--no-recreate", "--scale", "worker=1")
    expect_counted(use, before + people.accepted)


def test_three_dashboards_behind_one_address_show_every_viewer_the_same_also_while_one_dies(
    use: Compose, visitors: Visitors
) -> None:
    use.run("--profile", "proxy", "up", "--detach", "--wait", "--no-recreate", "--build", "--scale", "result=3")
    proxy = f"http://localhost:{use.settings['PROXY_PORT']}"
    eventually(lambda: each_is_reached(use, proxy), within=BACK_SECONDS, saying="the proxy knows three dashboards")
    before = use.total()
    screens: list[Visitor] = []
    pages: list[Page] = []
    while not pages or not all(viewers := [of_result(use, index, "viewers") for index in RESULTS]):
        assert len(pages) < MANY, f"viewers of each: {viewers}"
        screens.append(visitors.new())
        pages.append(screens[-1].open(proxy))
        expect_state(pages[-1], "live")
    cast(use.vote_url, "a")
    for page in pages:
        expect_total(page, in_words(before + 1))
    use.kill("result", index=1)
    cast(use.vote_url, "a")
    for screen, page in zip(screens, pages, strict=True):
        expect_total(page, in_words(before + 2))
        expect_state(page, "live")
        screen.forgive()  # the connection that was cut


def in_words(votes: int) -> str:
    return "1 vote" if votes == 1 else f"{votes:,} votes"


def each_is_reached(use: Compose, proxy: str) -> bool:
    """Whether requests through the proxy go to all three."""
    for _ in RESULTS:
        httpx.get(f"{proxy}/api/tally", timeout=10)
    return all("/api/tally" in metrics(f"http://localhost:{use.port('result', 5001, index=i)}") for i in RESULTS)


def test_down_keeps_the_votes_and_down_v_forgets_them(use: Compose) -> None:
    cast(use.vote_url, "b")
    eventually(lambda: use.queued() == 0, within=BACK_SECONDS)
    before = use.recount()
    use.run("--profile", "*", "down", "--timeout", "5")
    use.run("up", "--detach", "--wait")
    expect_counted(use, before)
    assert f"{use.project}_db-data" in volumes()
    use.remove()
    assert use.run("ps", "--all", "--quiet") == ""
    assert not [volume for volume in volumes() if volume.startswith(use.project)]


def volumes() -> list[str]:
    """Every volume of this machine."""
    command = ["docker", "volume", "ls", "--quiet"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()

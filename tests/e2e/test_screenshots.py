"""Screenshots of both pages, for people to look at: they are in `.data/screenshots/` after each run."""

from collections.abc import Iterable
from typing import Literal

import httpx
import pytest

from local.running import Running
from tests.e2e.pages import expect_state, expect_total, vote
from tests.e2e.visitors import Visitors
from tests.system import PROJECT

FOLDER = PROJECT / ".data" / "screenshots"
SIZES = {"phone": (390, 844), "desktop": (1280, 800)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_its_window(
    poll: Running, visitors: Visitors, scheme: Literal["light", "dark"], size: str
) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    _cast(poll.vote_url, ["a"] * 17 + ["b"] * 9)
    width, height = SIZES[size]
    visitor = visitors.new(viewport={"width": width, "height": height}, color_scheme=scheme)
    ballot = visitor.open(poll.vote_url)
    ballot.screenshot(path=FOLDER / f"ballot-{scheme}-{size}.png")
    vote(ballot, "Cats")
    ballot.screenshot(path=FOLDER / f"ballot-voted-{scheme}-{size}.png")
    dashboard = visitor.open(poll.result_url)
    expect_state(dashboard, "live")
    expect_total(dashboard, "27 votes")
    dashboard.screenshot(path=FOLDER / f"dashboard-{scheme}-{size}.png")
    for page in (ballot, dashboard):
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def _cast(vote_url: str, votes: Iterable[str]) -> None:
    for option in votes:
        assert httpx.post(vote_url, data={"vote": option}).status_code == httpx.codes.SEE_OTHER

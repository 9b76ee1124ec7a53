"""Screenshots of both pages, for people to look at: they are in `.data/screenshots/` after each run."""

import string
from collections.abc import Iterable, Iterator
from typing import Literal

import httpx
import pytest
from playwright.sync_api import expect

from local.running import Running
from tests.e2e.pages import expect_state, expect_total, keep_picture, vote
from tests.e2e.visitors import Visitor, Visitors
from tests.services import service
from tests.system import System

SIZES = {"phone": (390, 844), "desktop": (1280, 800)}
BIRDS = [
    *("Albatross", "Bittern", "Crossbill", "Dunnock", "Eider", "Fieldfare", "Greenshank", "Hoopoe", "Ibis", "Jay"),
    *("Kittiwake", "Lapwing", "Merganser", "Nightjar", "Osprey", "Phalarope", "Quail", "Razorbill", "Sanderling"),
    *("Turnstone", "Ural owl", "Velvet scoter", "Whimbrel", "Xantus's murrelet", "Yellowhammer", "Zitting cisticola"),
]

pytestmark = [
    pytest.mark.parametrize("size", SIZES),
    pytest.mark.parametrize("scheme", ["light", "dark"]),
]


@pytest.fixture(scope="module")
def crowded(system: System) -> Iterator[tuple[str, str]]:
    """The addresses of a ballot and a dashboard with all 26 options, on the system's own servers."""
    options = {f"OPTION_{key}": bird for key, bird in zip(string.ascii_uppercase, BIRDS, strict=True)}
    more = {"QUESTION": "Which of these birds should be the emblem of our village for the next ten years?", **options}
    facts = system.wait_until_ready()
    urls = {"redis_url": facts.redis_url, "database_url": facts.database_url}
    with service("vote", **urls, **more) as ballot, service("result", **urls, **more) as dashboard:
        ballot.until_ready()
        dashboard.until_ready()
        yield ballot.url, dashboard.url


def test_both_pages_fit_their_window(
    poll: Running, visitors: Visitors, scheme: Literal["light", "dark"], size: str
) -> None:
    visitor = _visitor(visitors, scheme, size)
    dashboard = visitor.open(poll.result_url)
    expect_state(dashboard, "live")
    _cast(poll.vote_url, "a" * 17 + "b" * 9)
    ballot = visitor.open(poll.vote_url)
    keep_picture(ballot, f"ballot-{scheme}-{size}")
    vote(ballot, "Cats")
    keep_picture(ballot, f"ballot-voted-{scheme}-{size}")
    expect_total(dashboard, "27 votes")
    expect(dashboard.locator("#rate-peak")).not_to_have_text("0")
    keep_picture(dashboard, f"dashboard-{scheme}-{size}")


@pytest.mark.usefixtures("poll")
def test_26_options_fit(
    crowded: tuple[str, str], visitors: Visitors, scheme: Literal["light", "dark"], size: str
) -> None:
    ballot_url, dashboard_url = crowded
    visitor = _visitor(visitors, scheme, size)
    votes = "".join(key * (place % 7) for place, key in enumerate(string.ascii_lowercase))
    _cast(ballot_url, votes)
    ballot = visitor.open(ballot_url)
    vote(ballot, "Hoopoe")
    keep_picture(ballot, f"ballot-26-{scheme}-{size}")
    dashboard = visitor.open(dashboard_url)
    expect_total(dashboard, f"{len(votes) + 1} votes")
    keep_picture(dashboard, f"dashboard-26-{scheme}-{size}")


def _visitor(visitors: Visitors, scheme: str, size: str) -> Visitor:
    width, height = SIZES[size]
    return visitors.new(viewport={"width": width, "height": height}, color_scheme=scheme)


def _cast(vote_url: str, votes: Iterable[str]) -> None:
    with httpx.Client() as client:
        for option in votes:
            assert client.post(vote_url, data={"vote": option}).status_code == httpx.codes.SEE_OTHER
            client.cookies.clear()  # the next vote is another voter's

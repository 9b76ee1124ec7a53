"""The visitors themselves: what a machine with containers does to a browser is nobody's fault."""

import pytest
from playwright.sync_api import Error, Route, expect

from local.running import Running
from tests.e2e import visitors
from tests.e2e.visitors import Visitor


@pytest.mark.parametrize("dropped", ["**/", "**/*.css"])
def test_a_page_is_opened_again_when_the_network_has_changed(
    poll: Running, visitor: Visitor, monkeypatch: pytest.MonkeyPatch, dropped: str
) -> None:
    """Playwright can't make Chromium say that the network has changed, so another error stands for it."""
    monkeypatch.setattr(visitors, "NETWORK_CHANGED", "net::ERR_INTERNET_DISCONNECTED")
    drops = iter([True, True])

    def drop(route: Route) -> None:
        if next(drops, False):
            route.abort("internetdisconnected")
        else:
            route.continue_()

    visitor.context.route(dropped, drop)
    expect(visitor.open(poll.vote_url).get_by_role("heading", level=1)).to_be_visible()
    assert next(drops, None) is None
    visitor.close()
    visitor.forgive()  # it is closed once more when the error is itself again


def test_a_page_that_is_not_there_is_no_change_of_the_network(visitor: Visitor) -> None:
    with pytest.raises(Error, match=r"ERR_UNSAFE_PORT|ERR_CONNECTION_REFUSED"):
        visitor.open("http://localhost:1")

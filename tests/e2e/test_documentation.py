"""`/docs` draws the API from our own files. (Every visitor also checks that no page complains or asks another host.)"""

import pytest
from playwright.sync_api import expect

from local.running import Running
from tests.e2e.visitors import Visitor


@pytest.mark.parametrize(
    ("service", "operations"),
    [("vote", ["/api/votes", "/api/ballot"]), ("result", ["/api/tally", "/api/tally.csv"])],
)
def test_the_documentation_shows_every_operation(
    poll: Running, visitor: Visitor, service: str, operations: list[str]
) -> None:
    url = {"vote": poll.vote_url, "result": poll.result_url}[service]
    page = visitor.open(f"{url}/docs")
    for operation in operations:
        expect(page.locator(f'.opblock-summary-path[data-path="{operation}"]')).to_be_visible()
    page.locator(".opblock-summary").first.click()
    expect(page.locator(".opblock.is-open .responses-table").first).to_be_visible()


def test_a_page_that_does_not_exist_says_so_in_our_look(poll: Running, visitor: Visitor) -> None:
    for url in (poll.vote_url, poll.result_url):
        page = visitor.open(f"{url}/nowhere")
        expect(page.get_by_role("heading", name="Not Found")).to_be_visible()
    visitor.forgive()  # the browser writes the 404 to its console

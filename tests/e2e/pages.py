"""What the tests know of the two pages, so that a change of the pages is a change here."""

from playwright.sync_api import Page, expect

from tests.system import PROJECT

PICTURES = PROJECT / ".data" / "screenshots"


def vote(page: Page, label: str) -> None:
    """Press the button of an option on the ballot, and wait for the page that follows."""
    page.locator("form.ballot button", has_text=label).click()
    expect(page.get_by_role("status")).to_contain_text(f"Your vote for {label} is recorded")


def expect_votes(page: Page, **votes: int) -> None:
    """The dashboard shows so many votes for the options of these keys, within some seconds."""
    for key, count in votes.items():
        words = f"{count} vote" if count == 1 else f"{count:,} votes"
        expect(page.locator(f'li[data-key="{key}"] .row-votes')).to_have_text(words)


def expect_total(page: Page, text: str) -> None:
    """The dashboard's total, in words."""
    expect(page.locator("#total")).to_have_text(text)


def expect_state(page: Page, kind: str) -> None:
    """The dashboard says that it is live, stale, or a snapshot."""
    expect(page.locator("#state")).to_have_attribute("data-kind", kind)


def keep_picture(page: Page, name: str) -> None:
    """Keep a picture, of the whole page if it is longer than the window; nothing may stick out at the side."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

"""What a voter's browser keeps: its cookies, and the number of the last ballot paper that it sent."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

# The page's hidden field.
NUMBER = re.compile(r'name="number" value="(\d+)"')
# Over HTTPS the name has a prefix.
VOTER_COOKIES = ("__Host-voter_id", "voter_id")


@dataclass
class Browser:
    """A browser, or a program that keeps cookies. `number` is None as long as it has seen no ballot paper."""

    cookies: dict[str, str] = field(default_factory=dict)
    number: int | None = None

    @property
    def voter(self) -> str | None:
        """Who the vote service says it is."""
        return voter_of(self.cookies)

    def headers(self) -> dict[str, str]:
        """What it sends back."""
        pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": pairs} if pairs else {}

    def take(self, set_cookies: Iterable[str]) -> str | None:
        """Keep the cookies of an answer; returns whom it took the browser for."""
        cookies = cookies_of(set_cookies)
        self.cookies |= cookies
        return voter_of(cookies) or self.voter

    def read(self, page: str) -> int | None:
        """The number of the ballot paper on a page, None if it has none."""
        found = NUMBER.search(page)
        if found is None:
            return None
        self.number = max(self.number or 0, int(found[1]))
        return int(found[1])

    def next_number(self) -> int | None:
        """The number of the next paper, as the page's script raises it at each sending; None without a page."""
        if self.number is not None:
            self.number += 1
        return self.number


def cookies_of(set_cookies: Iterable[str]) -> dict[str, str]:
    """The cookies that the values of `Set-Cookie` set."""
    pairs = (header.partition(";")[0].partition("=") for header in set_cookies)
    return {name: value for name, _, value in pairs}


def voter_of(cookies: dict[str, str]) -> str | None:
    """Whom these cookies name; what stands after the dot is the signature."""
    return next((cookies[name].partition(".")[0] for name in VOTER_COOKIES if cookies.get(name)), None)

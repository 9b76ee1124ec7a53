"""People who vote while something is done to the system."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.waiting import eventually

PATIENCE_SECONDS = 60.0


class Crowd:
    """Each votes once, and again until the vote is accepted: in the end there are as many votes as voters."""

    def __init__(self, vote_url: str) -> None:
        self.accepted = 0
        self._url = vote_url
        self._enough = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._vote, name="crowd")
        self._thread.start()

    def until_more(self, count: int) -> None:
        """Wait until so many more have voted."""
        goal = self.accepted + count

        def reached() -> bool:
            return self.accepted >= goal or self._failure is not None

        eventually(reached, within=PATIENCE_SECONDS, saying=f"{count} more votes are accepted")

    def leave(self) -> None:
        self._enough.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _vote(self) -> None:
        try:
            while not self._enough.is_set():
                cast(self._url, "a")
                self.accepted += 1
        except BaseException as failure:
            self._failure = failure


def cast(vote_url: str, option: str) -> None:
    """One new voter's vote; it is cast again by the same voter until it is accepted."""
    with httpx.Client(base_url=vote_url, timeout=10) as voter:

        def get_cookie() -> bool:
            return voter.get("/").is_success

        def cast() -> bool:
            return voter.post("/api/votes", json={"vote": option}).status_code == httpx.codes.ACCEPTED

        for step in (get_cookie, cast):
            eventually(step, within=PATIENCE_SECONDS, saying="a vote is accepted", despite=(httpx.TransportError,))


@contextmanager
def crowd(vote_url: str) -> Iterator[Crowd]:
    """People vote as long as this lasts."""
    people = Crowd(vote_url)
    try:
        people.until_more(5)
        yield people
    finally:
        people.leave()


class Demanding:
    """People who ask for pages and vote without a pause, on new connections and on kept ones, and forgive nothing.

    `seen` is what they saw: how many "answered", and each failure by its name.
    """

    def __init__(self, *urls: str) -> None:
        self.seen: Counter[str] = Counter()
        self._urls = urls
        self._enough = threading.Event()
        kinds = (self._on_one_connection, self._on_new_connections)
        self._people = [threading.Thread(target=kind) for kind in kinds for _ in range(3)]
        for each in self._people:
            each.start()

    def leave(self) -> None:
        self._enough.set()
        for each in self._people:
            each.join()

    def _on_one_connection(self) -> None:
        with httpx.Client(timeout=PATIENCE_SECONDS) as voter:
            while not self._enough.is_set():
                self._ask(voter)
                voter.cookies.clear()  # another voter: each may vote so often only

    def _on_new_connections(self) -> None:
        while not self._enough.is_set():
            with httpx.Client(timeout=PATIENCE_SECONDS, headers={"Connection": "close"}) as voter:
                self._ask(voter)

    def _ask(self, voter: httpx.Client) -> None:
        for url in self._urls:
            self._note(voter.get, url)
        self._note(voter.post, f"{self._urls[0]}/api/votes", json={"vote": "a"})

    def _note(self, request: Callable[..., httpx.Response], url: str, **arguments: Any) -> None:
        try:
            answer = request(url, **arguments)
            self.seen["answered" if answer.is_success else f"{url}: {answer.status_code} {answer.text}"] += 1
        except httpx.HTTPError as failure:
            self.seen[f"{url}: {failure!r}"] += 1


@contextmanager
def demanding(*urls: str) -> Iterator[Counter[str]]:
    """Such people, for as long as this lasts; gives what they have seen."""
    people = Demanding(*urls)
    try:
        yield people.seen
    finally:
        people.leave()

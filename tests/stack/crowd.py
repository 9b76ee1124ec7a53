"""People who vote one after another while something is done to the system."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

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

"""The README's path of a vote is the one that votes take: each function that it names runs for each vote."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from common.vote_queue import VoteQueue
from local import servers
from proof.waiting import TooLate
from tests.services import PROJECT, Service, service
from tests.waiting import eventually

NAME = re.compile(r"`((?:vote|worker|result|common)(?:\.\w+)+)`")

# What a line of log at the top of each function would be, and one wherever it goes on after a wait: `count_votes` and
# `watch_tally` are entered once and never end. Python imports this module by itself when it starts.
SITECUSTOMIZE = """
import os, sys

names = set(os.environ["NAMES"].split())
out = open(os.environ["SEEN"], "a", buffering=1)

def note(frame, event, argument):
    if event == "call" and frame.f_code.co_name in last:
        name = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
        if name in names:
            print(name, file=out)

last = {name.rpartition(".")[2] for name in names}
sys.setprofile(note)
"""


def names_in_readme() -> list[str]:
    """The functions that the README's section on the path of a vote names."""
    sections = re.split(r"^(?=#+ )", (PROJECT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = [each for each in sections if re.match(r"#+ .*(path of a vote|how a vote travels)", each, re.IGNORECASE)]
    assert len(found) == 1, "the README has one section on the path of a vote"
    return NAME.findall(found[0])


class Watched:
    """The three services, and the functions of theirs that have run."""

    def __init__(self, vote: Service, result: Service, seen: Path) -> None:
        self.vote = vote
        self._result = result
        self._seen = seen

    def total(self) -> int:
        return int(self._result.get("/api/tally").json()["total"])

    def lines(self) -> list[str]:
        return self._seen.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def watched(redis: servers.Server, queue: VoteQueue, empty_database: str, tmp_path: Path) -> Iterator[Watched]:
    (tmp_path / "sitecustomize.py").write_text(SITECUSTOMIZE, encoding="utf-8")
    seen = tmp_path / "seen"
    noting = {"PYTHONPATH": str(tmp_path), "NAMES": " ".join(names_in_readme()), "SEEN": str(seen)}
    with ExitStack() as stack:
        worker, vote, result = (
            stack.enter_context(service(name, redis_url=redis.url, database_url=empty_database, **noting))
            for name in ("worker", "vote", "result")
        )
        for each in (worker, vote, result):
            each.until_ready()
        yield Watched(vote, result, seen)


def cast(vote: Service, way: str) -> int:
    if way == "form":
        return httpx.post(f"{vote.url}/", data={"vote": "a"}).status_code
    return httpx.post(f"{vote.url}/api/votes", json={"vote": "a"}).status_code


def test_each_function_on_the_path_of_a_vote_runs_for_a_vote_by_form_and_for_one_as_json(watched: Watched) -> None:
    names = set(names_in_readme())
    assert len(names) >= 8

    for way, status in (("form", 303), ("json", 202)):
        missing = missing_after_a_vote(watched, names, way, status)
        assert not missing, f"named, and not run for the vote by {way}"


def missing_after_a_vote(watched: Watched, names: set[str], way: str, status: int) -> set[str]:
    """The functions that a vote did not pass, until it is on the dashboard and settled."""
    lines, total = len(watched.lines()), watched.total()

    def missing() -> set[str]:
        return names - set(watched.lines()[lines:])

    assert cast(watched.vote, way) == status
    eventually(lambda: watched.total() == total + 1, within=30, saying=f"the vote by {way} is on the dashboard")
    with suppress(TooLate):
        eventually(lambda: not missing(), within=10)
    return missing()

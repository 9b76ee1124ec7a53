"""Voters who cast all the time while services reload, and the audit that looks for each of their votes afterwards."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.errors import BenchError
from bench.settings import PROJECT, inherited
from loadtest.ledger import Ledger, Outcome, open_ledger

VOTERS = 4
THINKING_SECONDS = 0.1
ANSWER_SECONDS = 10.0
COOKIE = "voter_id"


@dataclass(frozen=True)
class Votes:
    """What became of the votes."""

    accepted: int
    counted: int
    unclear: int  # refused or in doubt, because a service was starting again
    lost: int
    problems: tuple[str, ...] = ()


class Voting:
    """The votes of one environment; what they came to is known at the end."""

    votes: Votes | None = None


@contextmanager
def voting(folder: Path, vote_url: str, where: Mapping[str, str]) -> Iterator[Voting]:
    """Cast votes until the end; `where` tells the audit, as variables of its environment, where the system is."""
    folder.mkdir(parents=True)
    _look("before", folder, where)
    enough = threading.Event()
    voters = [
        threading.Thread(
            target=_vote, args=(vote_url, folder / f"ledger-{number}.jsonl", enough), name=f"voter {number}"
        )
        for number in range(VOTERS)
    ]
    for voter in voters:
        voter.start()
    result = Voting()
    try:
        yield result
    finally:
        enough.set()
        for voter in voters:
            voter.join()
    _look("after", folder, where)
    result.votes = read_audit(folder / "audit.json")


def read_audit(path: Path) -> Votes:
    """What the audit found, as we show it."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return Votes(
        accepted=found["accepted"],
        counted=found["accepted"] - found["lost"] - found["reverted"],
        unclear=found["refused"] + found["in_doubt"],
        lost=found["lost"] + found["reverted"],
        problems=tuple(found["problems"]),
    )


def cast_one(vote_url: str, option: str = "a") -> httpx.Response:
    """Somebody new votes."""
    return httpx.post(f"{vote_url}/api/votes", json={"vote": option}, timeout=ANSWER_SECONDS)


def outcome_of(answer: httpx.Response | httpx.HTTPError) -> Outcome:
    """What an answer, or the lack of one, says about a vote."""
    if isinstance(answer, httpx.ConnectError | httpx.ConnectTimeout):
        return Outcome.REFUSED  # it was never sent
    if isinstance(answer, httpx.HTTPError) or answer.status_code >= 500:
        return Outcome.IN_DOUBT
    return Outcome.ACCEPTED if answer.status_code == httpx.codes.ACCEPTED else Outcome.REFUSED


def _vote(vote_url: str, path: Path, enough: threading.Event) -> None:
    with open_ledger(path) as ledger:
        while not enough.wait(THINKING_SECONDS):
            # each vote is somebody new's: what a later vote would cover up is seen
            _cast(vote_url, ledger)


def _cast(vote_url: str, ledger: Ledger) -> None:
    option = "ab"[ledger.sent % 2]
    number = ledger.send(None, option)
    try:
        answer = cast_one(vote_url, option)
    except httpx.HTTPError as error:
        ledger.answer(number, outcome_of(error), type(error).__name__, voter=None)
        return
    outcome = outcome_of(answer)
    voter = (answer.cookies.get(COOKIE) or "").partition(".")[0] if outcome is Outcome.ACCEPTED else None
    cast_at = answer.json()["cast_at"] if outcome is Outcome.ACCEPTED else None
    ledger.answer(number, outcome, str(answer.status_code), voter=voter or None, cast_at=cast_at)


def _look(moment: str, folder: Path, where: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "loadtest.look", moment, str(folder)]
    done = subprocess.run(
        command, cwd=PROJECT, env=inherited() | dict(where), capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        raise BenchError(f"the votes can't be looked at: {done.stderr.strip() or done.stdout.strip()}")

"""Voters who cast all the time while services reload, and the audit that looks for each of their votes afterwards."""

import asyncio
import json
import random
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
from proof.ledger import open_ledger
from proof.voters import Kind, Manner, vote_until

# Each vote is somebody new's: what a later vote would cover up is seen.
VOTERS = Kind(Manner.PASSING, 4, thinking=(0.1, 0.1))
ANSWER_SECONDS = 10.0


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
    voters = threading.Thread(
        target=lambda: asyncio.run(_vote(vote_url, folder / "ledger-voters.jsonl", enough)), name="voters"
    )
    voters.start()
    result = Voting()
    try:
        yield result
    finally:
        enough.set()
        voters.join()
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


async def _vote(vote_url: str, path: Path, enough: threading.Event) -> None:
    stop = asyncio.Event()
    with open_ledger(path) as ledger:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(VOTERS.seats):
                tasks.create_task(vote_until(stop, VOTERS, {"vote": vote_url}, ledger, random.Random(), ballot="ab"))
            await asyncio.to_thread(enough.wait)
            stop.set()


def _look(moment: str, folder: Path, where: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "loadtest", "audit", moment, str(folder)]
    done = subprocess.run(
        command, cwd=PROJECT, env=inherited() | dict(where), capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        raise BenchError(f"the votes can't be looked at: {done.stderr.strip() or done.stdout.strip()}")

"""`make seed`: casts votes over HTTP, each by another voter, two thirds for `a` and one third for `b`.

`python -m local.seed` is the same for a container: it needs httpx and VOTE_URL, and nothing else of the project.
"""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import httpx

from local.errors import LocalError

VOTES = 3000
AT_ONCE = 20
STEP = 500

# What to do about a refusal, by its code.
ADVICE = {
    "code_needed": " (make seed has none: start vote with VOTER_CODES=off to seed it)",
    "too_many_votes": " (start vote with LIMIT_PER_ADDRESS=0 to seed it from another machine)",
    "unknown_option": " (make seed votes for a and b)",
}


class Answer(NamedTuple):
    """What became of a vote, and why."""

    status: int
    why: str = ""


ACCEPTED = Answer(303)


def wanted(environ: Mapping[str, str]) -> int:
    """How many votes VOTES asks for; raises LocalError."""
    text = environ.get("VOTES", "").strip() or str(VOTES)
    if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0:
        return int(text)
    raise LocalError(f"VOTES={text} is not a number of votes: give a whole number from 1 on, e.g. VOTES={VOTES}")


async def seed(vote_url: str, votes: int = VOTES) -> bool:
    """Cast the votes and show the progress; whether every one was accepted."""
    if not vote_url.startswith(("http://", "https://")):
        raise LocalError(f"VOTE_URL={vote_url} is not a web address: give one like http://localhost:5000")
    # Made once, because it takes a tenth of a second.
    certificates = httpx.create_ssl_context()
    options = iter(["a"] * (votes - votes // 3) + ["b"] * (votes // 3))
    answers: Counter[Answer] = Counter()
    began = time.monotonic()
    # One client each: a client keeps its connection, and also its cookies, which would make all its votes one voter's.
    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(AT_ONCE, votes)):
            client = httpx.AsyncClient(base_url=vote_url, timeout=10, verify=certificates)
            tasks.create_task(_cast(client, options, answers))
        tasks.create_task(_show_progress(answers, votes))
    seconds = time.monotonic() - began
    refused = votes - answers[ACCEPTED]
    accepted = f"{votes - refused:,} votes accepted, {refused:,} refused"
    print(f"{accepted}, in {seconds:.1f} s ({votes / seconds:,.0f} votes/s)")
    for answer, count in sorted(answers.items()):
        if answer != ACCEPTED:
            print(f"  {count:,} times {answer.status or 'no answer'}{answer.why}")
    return refused == 0


def main(environ: Mapping[str, str]) -> int:
    """Cast the votes that the environment asks for; returns the exit code."""
    try:
        vote_url = environ.get("VOTE_URL", "").strip()
        if not vote_url:
            raise LocalError("VOTE_URL is not set: give the ballot's address, e.g. VOTE_URL=http://vote:5000")
        return 0 if asyncio.run(seed(vote_url, wanted(environ))) else 1
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


async def _cast(client: httpx.AsyncClient, options: Iterator[str], answers: Counter[Answer]) -> None:
    async with client:
        for option in options:
            answers[await _answer(client, option)] += 1
            client.cookies.clear()


async def _answer(client: httpx.AsyncClient, option: str) -> Answer:
    try:
        # as a form, like a browser; only what is wrong is asked for as JSON
        answer = await client.post("/", data={"vote": option}, headers={"Accept": "application/json"})
    except httpx.HTTPError as error:
        return Answer(0, f" from {client.base_url}: {str(error) or type(error).__name__}")
    if answer.status_code == ACCEPTED.status:
        return ACCEPTED
    try:
        said = answer.json()["error"]
        code, message = str(said["code"]), str(said["message"])
    except (ValueError, TypeError, KeyError):
        return Answer(answer.status_code, f" from {client.base_url}: that is not the ballot")
    return Answer(answer.status_code, f": {message}{ADVICE.get(code, '')}")


async def _show_progress(answers: Counter[Answer], votes: int) -> None:
    told = 0
    while (done := answers.total()) < votes:
        if done - told >= STEP:
            told = done - done % STEP
            print(f"{told:,} of {votes:,}", flush=True)
        await asyncio.sleep(0.05)
    print(f"{votes:,} of {votes:,}", flush=True)


if __name__ == "__main__":
    sys.exit(main(os.environ))

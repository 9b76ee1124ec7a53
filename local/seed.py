"""`make seed`: casts votes over HTTP, each by a voter of its own, two thirds for `a` and one third for `b`.

`python -m local.seed` is the same for a container: it needs httpx, VOTE_URL and nothing else of the project.
"""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping

import httpx

from local.errors import LocalError

VOTES = 3000
AT_ONCE = 20
PLAIN_STEP = 500


def wanted(environ: Mapping[str, str]) -> int:
    """How many votes VOTES asks for; raises LocalError."""
    text = environ.get("VOTES", "").strip() or str(VOTES)
    if text.isascii() and text.isdecimal() and int(text) > 0:
        return int(text)
    raise LocalError(f"VOTES={text} is not a number of votes: give a whole number from 1 on, e.g. VOTES={VOTES}")


async def seed(vote_url: str, votes: int = VOTES) -> bool:
    """Cast the votes and show the progress; whether every one was accepted."""
    if not vote_url.startswith(("http://", "https://")):
        raise LocalError(f"VOTE_URL={vote_url} is not a web address: give one like http://localhost:5000")
    # Made once, because it takes a tenth of a second.
    certificates = httpx.create_ssl_context()
    options = iter(["a"] * (votes - votes // 3) + ["b"] * (votes // 3))
    answers: Counter[int] = Counter()
    began = time.monotonic()
    # One client each: a client keeps its connection, and also its cookies, which would make all its votes one voter's.
    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(AT_ONCE, votes)):
            client = httpx.AsyncClient(base_url=vote_url, timeout=10, verify=certificates)
            tasks.create_task(_cast(client, options, answers))
        tasks.create_task(_show_progress(answers, votes))
    seconds = time.monotonic() - began
    refused = votes - answers[303]
    print(f"{answers[303]:,} votes accepted, {refused:,} refused, in {seconds:.1f} s ({votes / seconds:,.0f} votes/s)")
    for status, count in sorted(answers.items()):
        if status != 303:
            print(f"  {count:,} times {status or 'no answer'}")
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


async def _cast(client: httpx.AsyncClient, options: Iterator[str], answers: Counter[int]) -> None:
    async with client:
        for option in options:
            try:
                answer = await client.post("/", data={"vote": option})
                answers[answer.status_code] += 1
            except httpx.HTTPError:
                answers[0] += 1
            client.cookies.clear()


async def _show_progress(answers: Counter[int], votes: int) -> None:
    on_terminal, told = sys.stdout.isatty(), 0
    while (done := answers.total()) < votes:
        if on_terminal:
            print(f"\r{_bar(done, votes)}", end="", flush=True)
        elif done - told >= PLAIN_STEP:
            told = done - done % PLAIN_STEP
            print(f"{told:,} of {votes:,}", flush=True)
        await asyncio.sleep(0.05)
    print(f"\r{_bar(votes, votes)}" if on_terminal else f"{votes:,} of {votes:,}", flush=True)


def _bar(done: int, votes: int) -> str:
    filled = 30 * done // votes
    return f"[{'#' * filled}{'.' * (30 - filled)}] {done:,} of {votes:,}"


if __name__ == "__main__":
    sys.exit(main(os.environ))

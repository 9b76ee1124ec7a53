"""`make seed`: casts 3,000 votes over HTTP, each by a voter of its own."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator

import httpx

VOTES = {"a": 2000, "b": 1000}
AT_ONCE = 20
PLAIN_STEP = 500


async def seed(vote_url: str) -> bool:
    """Cast the votes and show the progress; whether every one was accepted."""
    votes = iter([vote for vote, count in VOTES.items() for _ in range(count)])
    answers: Counter[int] = Counter()
    began = time.monotonic()
    # One client each: a client keeps its connection, and also its cookies, which would make all its votes one voter's.
    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(_cast(vote_url, votes, answers))
        tasks.create_task(_show_progress(answers))
    seconds = time.monotonic() - began
    accepted, total = answers[303], answers.total()
    refused = total - accepted
    print(f"{accepted:,} votes accepted, {refused:,} refused, in {seconds:.1f} s ({total / seconds:,.0f} votes/s)")
    for status, count in sorted(answers.items()):
        if status != 303:
            print(f"  {count:,} times {status or 'no answer'}")
    return accepted == total


async def _cast(vote_url: str, votes: Iterator[str], answers: Counter[int]) -> None:
    async with httpx.AsyncClient(base_url=vote_url, timeout=10) as client:
        for vote in votes:
            try:
                answer = await client.post("/", data={"vote": vote})
                answers[answer.status_code] += 1
            except httpx.HTTPError:
                answers[0] += 1
            client.cookies.clear()


async def _show_progress(answers: Counter[int]) -> None:
    total = sum(VOTES.values())
    for step in range(PLAIN_STEP, total + 1, PLAIN_STEP):
        while (done := answers.total()) < step:
            if sys.stdout.isatty():
                print(f"\r{_bar(done, total)}", end="", flush=True)
            await asyncio.sleep(0.05)
        if not sys.stdout.isatty():
            print(f"{step:,} of {total:,}", flush=True)
    if sys.stdout.isatty():
        print(f"\r{_bar(total, total)}")


def _bar(done: int, total: int) -> str:
    filled = 30 * done // total
    return f"[{'#' * filled}{'.' * (30 - filled)}] {done:,} of {total:,}"

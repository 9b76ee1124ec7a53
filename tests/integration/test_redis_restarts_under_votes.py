"""Redis is started again while a hundred voters vote: no vote fails, and each is in the queue exactly once."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from common.vote_queue import VoteQueue
from local import servers
from tests.robustness.figures import tried
from tests.services import service

pytestmark = pytest.mark.platform

VOTERS = 100
THINKING_SECONDS = 0.02
RESTARTS = 3
VOTE = (
    b'POST /api/votes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"vote": "a"}'
)
# An outage that is shorter costs no vote: with the time that a vote may wait, less what a busy machine takes.
SHORT_SECONDS = 1.0


class Voters:
    """They vote until they are told to stop; `answers` counts what they were told."""

    def __init__(self, vote_url: str) -> None:
        self.answers: Counter[str] = Counter()
        self.slowest = 0.0
        self._port = urlsplit(vote_url).port
        self._stop = asyncio.Event()

    async def vote_meanwhile(self, do: Callable[[], Awaitable[None]]) -> None:
        """Vote while something is done, and until the answers are there."""
        voting = [asyncio.create_task(self._vote()) for _ in range(VOTERS)]
        await do()
        self._stop.set()
        await asyncio.gather(*voting)

    async def _vote(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while not self._stop.is_set():
            began = time.monotonic()
            writer.write(VOTE)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            assert length, head
            body = json.loads(await reader.readexactly(int(length[1])))
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.answers[body["error"]["code"] if "error" in body else "accepted"] += 1
            await asyncio.sleep(THINKING_SECONDS)
        writer.close()


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_restarts_of_redis_under_a_hundred_voters_fail_no_vote(tmp_path: Path, how: str) -> None:
    """Each accepted vote is in the queue once; where a restart was longer than a vote can wait, it may be in doubt."""
    outages: list[float] = []
    with servers.redis(tmp_path) as redis:

        async def restart() -> None:
            for _ in range(RESTARTS):
                await asyncio.sleep(0.5)
                began = time.monotonic()
                await asyncio.to_thread(getattr(redis, how))
                await asyncio.to_thread(redis.start)
                outages.append(time.monotonic() - began)
            await asyncio.sleep(0.5)

        with service("vote", redis_url=redis.url, LIMIT_PER_VOTER="0") as vote:
            vote.until_ready()
            voters = Voters(vote.url)
            await voters.vote_meanwhile(restart)
        async with VoteQueue.open(redis.url) as queue:
            waiting = await queue.waiting()
    accepted, in_doubt = voters.answers["accepted"], voters.answers["not_recorded"]
    tried(f"votes while Redis was restarted by {how}", sum(voters.answers.values()))
    print(f"{how}: outages {outages}, slowest {voters.slowest:.2f} s, {voters.answers}")

    assert accepted <= waiting <= accepted + in_doubt
    if max(outages) < SHORT_SECONDS:
        assert set(voters.answers) == {"accepted"}

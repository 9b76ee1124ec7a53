"""A database whose disk is full: votes are accepted, counting waits, nothing is lost, and it goes on by itself."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.vote_queue import VoteQueue
from local import servers
from tests.fakes import message
from tests.robustness.figures import tried
from tests.services import service
from tests.waiting import eventually, eventually_async

DISK_MEGABYTES = 160
VOTES = 4000
BATCH = 500  # each message is long, so that a batch needs more pages than there are


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk in memory that is soon full; needs root."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a small disk is mounted by root on Linux only")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Take all that is left; returns the file to remove."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 65536)
            file.flush()
    assert shutil.disk_usage(disk).free < 65536
    return ballast


@pytest.mark.timeout(120)
async def test_on_a_full_disk_counting_waits_and_nothing_is_lost(
    queue: VoteQueue, redis: servers.Server, small_disk: Path
) -> None:
    with (
        servers.postgres(small_disk) as postgres,
        service("worker", redis_url=redis.url, database_url=postgres.url, BATCH_SIZE=str(BATCH)) as worker,
        service("result", redis_url=redis.url, database_url=postgres.url) as result,
    ):
        worker.until_ready()
        result.until_ready()
        ballast = fill(small_disk)
        for first in range(0, VOTES, BATCH):
            await queue.push([message(f"{'v' * 200}{first + number}", "a") for number in range(BATCH)])
        eventually(lambda: worker.get("/readyz").status_code == 503, within=40)
        tried("votes pushed while the database's disk was full", VOTES)
        assert worker.get("/healthz").status_code == 200
        assert await queue.waiting() > 0

        ballast.unlink()
        if postgres.process is not None and postgres.process.poll() is not None:
            postgres.stop()  # it gave up, as it does when not even its log fits; `make up` starts it again
            postgres.start()
        worker.until_ready()

        async def all_counted() -> bool:
            return await queue.waiting() == 0

        await eventually_async(all_counted, within=40)
        eventually(lambda: result.get("/api/tally").json()["total"] == VOTES, within=20)

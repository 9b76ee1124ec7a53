"""A Redis whose users have least rights, as `python -m local.redis_users` and `redis-server --aclfile` make it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import RedisError

from local.redis import Installation, installations
from local.redis_users import write_users
from tests.ports import free_port
from tests.waiting import eventually


def has_users() -> Installation:
    """A Redis of this machine whose users can have rights that differ from key to key; without one, skips the test."""
    for installation in installations():
        if installation.version >= (7, 0):
            return installation
    pytest.skip("no Redis 7 or newer here: install redis-server")


@dataclass(frozen=True)
class GuardedRedis:
    """It runs; `urls` has the address for each user."""

    urls: dict[str, str]
    place: str


@contextmanager
def guarded_redis(installation: Installation, folder: Path) -> Iterator[GuardedRedis]:
    """Run one until the end."""
    port = free_port()
    urls = write_users(folder, f"127.0.0.1:{port}")
    command = [str(installation.binary), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen([*command, "--aclfile", str(folder / "users.acl")], stdout=log, stderr=log)
    try:
        with Redis.from_url(urls["owner"]) as owner:
            eventually(owner.ping, within=20, saying=(folder / "redis.log").read_text(), despite=(NotConnected,))
        yield GuardedRedis(urls, f"127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(10)


def refusal(url: str, *command: str) -> str:
    """What Redis says to a user's command that it refuses, "" if it does not."""
    with Redis.from_url(url) as redis:
        try:
            redis.execute_command(*command)
        except RedisError as error:
            return str(error)
    return ""

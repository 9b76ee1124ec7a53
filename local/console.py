"""`make psql` and `make redis-cli`: become the console of the server that runs, with its address."""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from local import postgres_choice, redis
from local.errors import LocalError


def psql(database_url: str, arguments: Sequence[str]) -> NoReturn:
    """Open psql on the database."""
    beside = (installation.binaries / "psql" for installation in postgres_choice.installations())
    _become("psql", beside, [database_url, *arguments])


def redis_cli(redis_url: str, arguments: Sequence[str]) -> NoReturn:
    """Open redis-cli on the queue."""
    beside = (
        installation.binary.with_name(name)
        for installation in redis.installations()
        for name in ("redis-cli", "valkey-cli")
    )
    url = urlsplit(redis_url)
    address = ["-s", unquote(url.path)] if url.scheme == "unix" else ["-u", redis_url]
    _become("redis-cli", beside, [*address, *arguments])


def _become(name: str, beside: Iterable[Path], arguments: Sequence[str]) -> NoReturn:
    found = next((str(path) for path in beside if path.exists()), None) or shutil.which(name)
    if found is None:
        raise LocalError(f"no {name} here: install it, so that it is on PATH")
    os.execv(found, [found, *arguments])

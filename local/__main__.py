"""The whole system on one machine without containers: `python -m local up` and the commands beside it."""

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from common.settings import Settings
from local import running
from local.environment import environment, is_set, load_settings
from local.errors import LocalError
from local.parts import PARTS, chosen, command, listed

# What only some commands need is imported where it is used: that keeps the supervisor small.


def run_up(parts: Sequence[str]) -> int:
    """run all parts, or the named ones of postgres, redis, vote, worker, result, until Ctrl-C"""
    from local.up import up

    _refuse_part("up", parts)
    up(parts)
    return 0


def run_down(parts: Sequence[str]) -> int:
    """stop all parts, or the named ones, that `up` runs in the background"""
    from local.control import down

    _refuse_part("down", parts)
    print(down(load_settings().data_dir, chosen(parts)))
    return 0


def run_restart(parts: Sequence[str]) -> int:
    """restart one part"""
    from local.control import restart

    if len(parts) != 1:
        raise LocalError(f"name one part, e.g. make restart PART=redis: the parts are {listed(PARTS)}")
    print(restart(load_settings().data_dir, *chosen(parts)))
    return 0


def run_reset(_: Sequence[str]) -> int:
    """empty votes, tallies and the queue"""
    from local.reset import reset

    settings = load_settings()
    print(asyncio.run(reset(_redis_url(settings), _database_url(settings))))
    return 0


def run_seed(_: Sequence[str]) -> int:
    """cast VOTES votes (3,000) over HTTP, at VOTE_URL if that is set"""
    from local.seed import seed, wanted

    settings = load_settings()
    votes = wanted(environment())
    return 0 if asyncio.run(seed(settings.vote_url or _url(settings, "vote"), votes)) else 1


def run_codes(arguments: Sequence[str]) -> int:
    """print voter codes, 20 or as many as named; --forget makes all codes void"""
    from local.codes import codes

    settings = load_settings()
    codes(settings, lambda: _redis_url(settings), arguments)
    return 0


def run_psql(arguments: Sequence[str]) -> int:
    """open the database's console"""
    from local import postgres

    url = _database_url(load_settings())
    _become("psql", (found.binaries / "psql" for found in postgres.installations()), [url, *arguments])


def run_redis_cli(arguments: Sequence[str]) -> int:
    """open the queue's console"""
    from local import redis

    url = _redis_url(load_settings())
    address = ["-s", unquote(urlsplit(url).path)] if url.startswith("unix:") else ["-u", url]
    names = ("redis-cli", "valkey-cli")
    beside = (found.binary.with_name(name) for found in redis.installations() for name in names)
    _become("redis-cli", beside, [*address, *arguments])


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "up": run_up,
    "down": run_down,
    "restart": run_restart,
    "reset": run_reset,
    "seed": run_seed,
    "codes": run_codes,
    "psql": run_psql,
    "redis-cli": run_redis_cli,
}
TAKE_PARTS = ("up", "down", "restart")
# These read their own arguments.
TAKE_ANYTHING = ("codes", "psql", "redis-cli")


def main(argv: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, run in COMMANDS.items():
        command_parser = commands.add_parser(name, help=run.__doc__)
        if name in TAKE_PARTS:
            command_parser.add_argument("part", nargs="*")
    known = parser.parse_args(argv[:1] if argv[:1] and argv[0] in TAKE_ANYTHING else argv)
    try:
        return COMMANDS[known.command](argv[1:])
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _refuse_part(target: str, parts: Sequence[str]) -> None:
    """`make up PART=vote` would run everything, and `make down PART=vote` would stop everything."""
    if (part := environment().get("PART", "").strip()) and not parts:
        meant = command(target, [part if part in PARTS else PARTS[0]])
        raise LocalError(f"PART={part}: make {target} takes PARTS, e.g. {meant}; PART is for make restart")


def _url(settings: Settings, part: str) -> str:
    facts = running.read(settings.data_dir)
    if facts is None:
        raise LocalError(f"tallyho is not running in {settings.data_dir}: make up starts it")
    if part not in facts.urls:
        raise LocalError(f"{part} is not running in {settings.data_dir}: {command('up', [part])} starts it")
    return facts.urls[part]


def _database_url(settings: Settings) -> str:
    return settings.database_url if is_set("DATABASE_URL") else _url(settings, "postgres")


def _redis_url(settings: Settings) -> str:
    return settings.redis_address if is_set("REDIS_URL", "REDIS_HOST") else _url(settings, "redis")


def _become(name: str, beside: Iterable[Path], arguments: Sequence[str]) -> NoReturn:
    """Turn into the console that lies beside the server, or the one on PATH."""
    found = next((str(path) for path in beside if path.exists()), None) or shutil.which(name)
    if found is None:
        raise LocalError(f"{name} is not on PATH: install it")
    os.execv(found, [found, *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

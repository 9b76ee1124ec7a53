"""The whole system on one machine without containers: `python -m local up` and the commands beside it."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence

from common.settings import Settings
from local import running
from local.console import psql, redis_cli
from local.down import down
from local.environment import is_set, load_settings
from local.errors import LocalError
from local.running import Running

# The modules behind some commands are imported where they are used: that keeps the supervisor small.


def run_up(settings: Settings, _: Sequence[str]) -> int:
    """run PostgreSQL, Redis, vote, worker and result until Ctrl-C"""
    from local.up import up

    up(settings)
    return 0


def run_down(settings: Settings, _: Sequence[str]) -> int:
    """stop what `up` runs in the background"""
    print(down(settings.data_dir))
    return 0


def run_reset(settings: Settings, _: Sequence[str]) -> int:
    """empty votes, tallies and the queue"""
    from local.reset import reset

    print(asyncio.run(reset(_redis_url(settings), _database_url(settings))))
    return 0


def run_seed(settings: Settings, _: Sequence[str]) -> int:
    """cast 3,000 votes over HTTP, at VOTE_URL if that is set"""
    from local.seed import seed

    return 0 if asyncio.run(seed(settings.vote_url or _facts(settings).vote_url)) else 1


def run_psql(settings: Settings, arguments: Sequence[str]) -> int:
    """open the database's console"""
    psql(_database_url(settings), arguments)


def run_redis_cli(settings: Settings, arguments: Sequence[str]) -> int:
    """open the queue's console"""
    redis_cli(_redis_url(settings), arguments)


COMMANDS: dict[str, Callable[[Settings, Sequence[str]], int]] = {
    "up": run_up,
    "down": run_down,
    "reset": run_reset,
    "seed": run_seed,
    "psql": run_psql,
    "redis-cli": run_redis_cli,
}
CONSOLES = ("psql", "redis-cli")


def main(argv: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.__doc__)
    # What follows a console's name is the console's, options too.
    known = parser.parse_args(argv[:1] if argv[:1] and argv[0] in CONSOLES else argv)
    try:
        return COMMANDS[known.command](load_settings(), argv[1:])
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _facts(settings: Settings) -> Running:
    facts = running.read(settings.data_dir)
    if facts is None:
        raise LocalError(f"tallyho is not running in {settings.data_dir}: make up starts it")
    return facts


def _database_url(settings: Settings) -> str:
    return settings.database_url if is_set("DATABASE_URL") else _facts(settings).database_url


def _redis_url(settings: Settings) -> str:
    return settings.redis_address if is_set("REDIS_URL", "REDIS_HOST") else _facts(settings).redis_url


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

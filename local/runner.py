"""Runs one service for work where `make up` does not run: `python -m local.runner vote`, in the containers for work.

Holds the service's sockets, and puts a new process in the place of the old one after each edit, and at SIGHUP. Beside
the packages of the service it needs only watchfiles.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from common.machine import address_to_listen_on
from common.settings import Settings, SettingsError
from local import activation, running
from local.edits import edits
from local.errors import LocalError
from local.log import Log
from local.parts import SERVICES, Part
from local.processes import Keeper

PROJECT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 8.0  # less than the ten after which Docker kills


def main(argv: Sequence[str]) -> int:
    """Run the service until a signal; returns the exit code."""
    if len(argv) != 1 or argv[0] not in SERVICES:
        print(f"name a service: python -m local.runner {' or '.join(SERVICES)}", file=sys.stderr)
        return 2
    (service,) = argv
    try:
        settings = Settings.from_env([service])
        data = (PROJECT / settings.data_dir).resolve()
        running.make_folder(data)
        address = address_to_listen_on(settings.host)
        with activation.listening_socket(address, getattr(settings, f"{service}_port")) as listener:
            sockets = {activation.NAMES[service]: listener}
            part = Part(
                service,
                activation.command(service, sockets),
                os.environ,
                PROJECT,
                sockets=sockets,
                stop_seconds=STOP_SECONDS,
            )
            with running.told(data, [service]):
                asyncio.run(run(part, data))
    except (SettingsError, LocalError, OSError) as error:
        print(f"{service}: {error}", file=sys.stderr)
        return 1
    return 0


async def run(part: Part, data: Path) -> None:
    """Keep the service running, until a signal; raises LocalError if it can't be run at all."""
    stop, failures = asyncio.Event(), list[LocalError]()
    log = Log(sys.stdout.fileno(), colour=False)

    def fail(error: LocalError) -> None:
        failures.append(error)
        stop.set()

    keeper = Keeper(
        part,
        say=log.plain,
        on_change=lambda _: None,
        on_broken=partial(running.tell_broken, data, part.name),
        on_failure=fail,
    )
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGCHLD, keeper.poll)
    loop.add_signal_handler(signal.SIGHUP, keeper.restart, "asked to restart")
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    tasks = [asyncio.create_task(keeper.run()), asyncio.create_task(_restart_on_edits(keeper))]
    await stop.wait()
    tasks[1].cancel()
    await keeper.stop()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)
    log.close()
    if failures:
        raise failures[0]


async def _restart_on_edits(keeper: Keeper) -> None:
    async for concerned in edits(PROJECT):
        if keeper.name in concerned:
            keeper.restart(f"{concerned[keeper.name]} changed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

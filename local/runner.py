"""Runs one service for work where `make up` does not run: `python -m local.runner vote`, in the containers for work.

Holds the service's sockets, and puts a new process in the place of the old one after each edit, and at SIGHUP. Beside
the packages of the service it needs only watchfiles.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from common.preflight import address_to_listen_on
from common.settings import Settings, SettingsError
from local import activation, running
from local.edits import restart_on_edits
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
    keeper = Keeper(
        part,
        say=log.plain,
        on_change=lambda _: None,
        on_broken=partial(running.tell_broken, data, part.name),
        on_failure=failures.append,
    )
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGCHLD, keeper.poll)
    loop.add_signal_handler(signal.SIGHUP, keeper.restart, "asked to restart")
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    keeping = asyncio.create_task(keeper.run())
    keeping.add_done_callback(lambda _: stop.set())
    watching = asyncio.create_task(restart_on_edits(PROJECT, {part.name: keeper}, log.plain))
    await stop.wait()
    watching.cancel()
    await keeper.stop()
    await keeping
    log.close()
    if failures:
        raise failures[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

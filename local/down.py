"""`make down`: ends what `make up` runs elsewhere, for example in the background."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from local import locks
from local.errors import LocalError
from local.parts import PARTS, SERVICES, command, in_order, listed, subject

DEADLINE_SECONDS = 15.0


def down(data: Path, parts: Sequence[str] = PARTS) -> str:
    """Stop these parts in this data folder, and wait until they are gone; returns what was done."""
    runs = {process: theirs for process, theirs in locks.runs(data).items() if set(theirs) & set(parts)}
    if not runs:
        return f"{subject(parts, 'is', 'are')} not running in {data}"
    for process, theirs in runs.items():
        _refuse_to_stop_others(process, theirs, parts)
    began = time.monotonic()
    # As within one run, the services go first: they may still have something to say to the servers.
    with_services = {process: theirs for process, theirs in runs.items() if set(theirs) & set(SERVICES)}
    for group in (with_services, {process: runs[process] for process in runs.keys() - with_services}):
        _end(data, group)
    stopped = [part for theirs in runs.values() for part in theirs]
    return f"{subject(stopped, 'has', 'have')} stopped ({time.monotonic() - began:.1f} s); the data is in {data}"


def _refuse_to_stop_others(process: int, theirs: Sequence[str], parts: Sequence[str]) -> None:
    others = in_order(set(theirs) - set(parts))
    if others:
        named = [part for part in theirs if part in parts]
        raise LocalError(
            f"{subject(named, 'runs', 'run')} together with {listed(others)} (process {process}): "
            f"{command('down', theirs)} stops them all"
        )


def _end(data: Path, runs: Mapping[int, Sequence[str]]) -> None:
    for process in runs:
        try:
            os.kill(process, signal.SIGTERM)
        except ProcessLookupError:
            pass
        except PermissionError as error:
            raise LocalError(f"process {process} belongs to another user: stop it as that user") from error
    deadline = time.monotonic() + DEADLINE_SECONDS
    for process, theirs in runs.items():
        while any(locks.is_held_by(data, part, process) for part in theirs):
            if time.monotonic() > deadline:
                raise LocalError(
                    f"process {process} did not stop in {DEADLINE_SECONDS:.0f} s: kill -9 {process} ends it"
                )
            time.sleep(0.02)

"""`make down` and `make restart`: asks a supervisor that runs elsewhere, for example in the background."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from local import running
from local.errors import LocalError
from local.parts import PARTS, SERVICES, command, in_order, listed, subject

DEADLINE_SECONDS = 15.0
# More than a new process may take to be ready.
RESTART_SECONDS = 45.0
POLL_SECONDS = 0.02


def down(data: Path, parts: Sequence[str] = PARTS) -> str:
    """Stop these parts in this data folder, and wait until they are gone; returns what was done."""
    runs = {pid: theirs for pid, theirs in running.runs(data).items() if set(theirs) & set(parts)}
    if not runs:
        return f"{subject(parts, 'is', 'are')} not running in {data}"
    for pid, theirs in runs.items():
        _refuse_to_stop_others(pid, theirs, parts)
    began = time.monotonic()
    # As within one run, the services go first: they may still have something to say to the servers.
    with_services = {pid: theirs for pid, theirs in runs.items() if set(theirs) & set(SERVICES)}
    for group in (with_services, {pid: runs[pid] for pid in runs.keys() - with_services}):
        _end(data, group)
    stopped = [part for theirs in runs.values() for part in theirs]
    return f"{subject(stopped, 'has', 'have')} stopped ({time.monotonic() - began:.1f} s); the data is in {data}"


def restart(data: Path, name: str) -> str:
    """Have the supervisor put a new process in the place of the one that runs, and wait for that."""
    before = running.part(data, name)
    if before is None:
        raise LocalError(f"{name} is not running in {data}: {command('up', [name])} starts it")
    if before.pid is None:
        raise LocalError(f"{name} has crashed and is being restarted: the log of make up says why")
    began = time.monotonic()
    with _as_its_owner(running.supervisors(data).get(name, 0)):
        running.request_restart(data, name)
    while (now := running.part(data, name)) is not None:
        if now.pid not in (None, before.pid):
            seconds = time.monotonic() - began
            return f"{name} restarted ({seconds:.1f} s): process {now.pid} replaces process {before.pid}"
        if now.pid and now.starts != before.starts:
            raise LocalError(f"{name} was not restarted, process {now.pid} goes on: {running.broken(data, name)}")
        if time.monotonic() > began + RESTART_SECONDS:
            raise LocalError(f"{name} did not restart in {RESTART_SECONDS:.0f} s: the log of make up says why")
        time.sleep(POLL_SECONDS)
    raise LocalError(f"{name} was stopped meanwhile: {command('up', [name])} starts it")


def _refuse_to_stop_others(pid: int, theirs: Sequence[str], parts: Sequence[str]) -> None:
    others = in_order(set(theirs) - set(parts))
    if others:
        named = [part for part in theirs if part in parts]
        raise LocalError(
            f"{subject(named, 'runs', 'run')} together with {listed(others)} (process {pid}): "
            f"{command('down', theirs)} stops them all"
        )


def _end(data: Path, runs: Mapping[int, Sequence[str]]) -> None:
    for pid in runs:
        with _as_its_owner(pid), contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + DEADLINE_SECONDS
    for pid, theirs in runs.items():
        while any(running.is_held_by(data, part, pid) for part in theirs):
            if time.monotonic() > deadline:
                raise LocalError(f"process {pid} did not stop in {DEADLINE_SECONDS:.0f} s: kill -9 {pid} ends it")
            time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def _as_its_owner(pid: int) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise LocalError(f"process {pid} belongs to another user: run this as that user") from error

"""`make down` and `make restart`: asks a supervisor that runs elsewhere, for example in the background."""

import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from local import running
from local.errors import LocalError
from local.parts import PARTS, SERVICES, command, in_order, listed, subject

# More than the longest stop and the longest back-off together.
DEADLINE_SECONDS = 15.0
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
    """Stop the part by its own signal; its supervisor restarts it. Returns when the new process runs."""
    facts = running.part(data, name)
    if facts is None:
        raise LocalError(f"{name} is not running in {data}: {command('up', [name])} starts it")
    if facts.pid is None:
        raise LocalError(f"{name} has crashed and is being restarted: the log of make up says why")
    began = time.monotonic()
    _signal(facts.pid, facts.stop_signal)
    new = _wait_for_another(data, name, facts.pid, deadline=began + DEADLINE_SECONDS)
    return f"{name} restarted ({time.monotonic() - began:.1f} s): process {new} replaces process {facts.pid}"


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
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + DEADLINE_SECONDS
    for pid, theirs in runs.items():
        while any(running.is_held_by(data, part, pid) for part in theirs):
            if time.monotonic() > deadline:
                raise LocalError(f"process {pid} did not stop in {DEADLINE_SECONDS:.0f} s: kill -9 {pid} ends it")
            time.sleep(POLL_SECONDS)


def _wait_for_another(data: Path, name: str, old: int, *, deadline: float) -> int:
    while True:
        facts = running.part(data, name)
        if facts is None:
            raise LocalError(f"{name} was stopped meanwhile: {command('up', [name])} starts it")
        if facts.pid not in (None, old):
            return facts.pid
        if time.monotonic() > deadline:
            if facts.pid == old:
                raise LocalError(f"{name} does not stop: kill -9 {old} ends it, and then it is restarted")
            raise LocalError(f"{name} did not start in {DEADLINE_SECONDS:.0f} s: the log of make up says why")
        time.sleep(POLL_SECONDS)


def _signal(pid: int, number: int) -> None:
    try:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    except PermissionError as error:
        raise LocalError(f"process {pid} belongs to another user: run this as that user") from error

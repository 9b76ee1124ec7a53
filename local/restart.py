"""`make restart PART=redis`: ends one part in good order; its supervisor starts it again."""

import contextlib
import os
import time
from pathlib import Path

from local import running
from local.errors import LocalError
from local.parts import command

# The longest stop and the longest back-off together, and some more.
DEADLINE_SECONDS = 15.0


def restart(data: Path, name: str) -> str:
    """End the part by its stop signal, and return when another process runs in its place."""
    part = running.part(data, name)
    if part is None:
        raise LocalError(f"{name} is not running in {data}: {command('up', [name])} starts it")
    if part.pid is None:
        raise LocalError(f"{name} has just ended and is being started again: the log of make up says why")
    began = time.monotonic()
    try:
        with contextlib.suppress(ProcessLookupError):
            os.kill(part.pid, part.stop_signal)
    except PermissionError as error:
        raise LocalError(f"process {part.pid} belongs to another user: restart {name} as that user") from error
    new = _successor(data, name, part.pid, deadline=began + DEADLINE_SECONDS)
    return f"{name} runs again ({time.monotonic() - began:.1f} s): process {part.pid} has ended, {new} is in its place"


def _successor(data: Path, name: str, old: int, *, deadline: float) -> int:
    while True:
        part = running.part(data, name)
        if part is None:
            raise LocalError(f"{name} was stopped for good meanwhile: {command('up', [name])} starts it")
        if part.pid not in (None, old):
            return part.pid
        if time.monotonic() > deadline:
            raise LocalError(_what_is_wrong(name, part, old))
        time.sleep(0.02)


def _what_is_wrong(name: str, part: running.Part, old: int) -> str:
    if part.pid == old:
        return f"{name} does not end: kill -9 {old} ends it, and then it is started again"
    return f"{name} has ended, and was not started again in {DEADLINE_SECONDS:.0f} s: the log of make up says why"

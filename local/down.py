"""`make down`: ends a `make up` that runs elsewhere, for example in the background."""

import os
import signal
import time
from pathlib import Path

from local import running
from local.errors import LocalError

DEADLINE_SECONDS = 15.0


def down(data: Path) -> str:
    """Stop what runs in this data folder, and wait until it is gone; returns what was done."""
    process = running.supervisor(data)
    if process is None:
        return f"tallyho is not running in {data}"
    began = time.monotonic()
    try:
        os.kill(process, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError as error:
        raise LocalError(f"process {process} belongs to another user: stop it as that user") from error
    while running.is_locked(data):
        if time.monotonic() - began > DEADLINE_SECONDS:
            raise LocalError(f"process {process} did not stop in {DEADLINE_SECONDS:.0f} s: kill -9 {process} ends it")
        time.sleep(0.02)
    return f"tallyho has stopped ({time.monotonic() - began:.1f} s); the data is in {data}"

"""Who runs which part of a data folder: for each part a lock, which the supervisor of that part holds.

The guard of a supervisor holds it as well, so that nobody starts the part anew while it still ends the old one.
"""

import fcntl
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from local.errors import LocalError
from local.parts import PARTS, command, is_whole, listed, subject

FOLDER = "run"
# How long a guard may take to end what a killed supervisor left.
GUARD_SECONDS = 8.0


@contextmanager
def hold(data: Path, parts: Sequence[str]) -> Iterator[tuple[int, ...]]:
    """Be the only one who runs these parts in this data folder; gives the descriptors of the locks."""
    make_folder(data)
    deadline = time.monotonic() + GUARD_SECONDS
    with ExitStack() as stack:
        files = [stack.enter_context(_path(data, part).open("a+")) for part in parts]
        for part, file in zip(parts, files, strict=True):
            while not _try_lock(file, fcntl.LOCK_EX):
                if _is_alive(_holder(data, part)) or time.monotonic() > deadline:
                    raise LocalError(_who_has_them(data, parts))
                time.sleep(0.05)
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            # A number that is left in it would point to nobody.
            stack.callback(file.truncate, 0)
        yield tuple(file.fileno() for file in files)


def make_folder(data: Path) -> None:
    """Make the data folder; raises LocalError if that can't be, or if nothing can be written to it."""
    folder = data / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise LocalError(f"DATA_DIR={data}: can't be written to ({error.strerror}); name another folder") from error


def supervisors(data: Path) -> dict[str, int]:
    """The parts that run in this data folder, each with the process that supervises it."""
    holders = {part: _holder(data, part) for part in PARTS if is_locked(data, part)}
    return {part: holder for part, holder in holders.items() if _is_alive(holder)}


def runs(data: Path) -> dict[int, list[str]]:
    """The supervisors in this data folder, each with its parts."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for part, holder in supervisors(data).items():
        found[holder].append(part)
    return dict(found)


def is_locked(data: Path, part: str) -> bool:
    """Whether a supervisor of this part, or the guard of one that was killed, is still at work."""
    try:
        with _path(data, part).open() as file:
            return not _try_lock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False
    except PermissionError as error:
        raise LocalError(f"{data} belongs to another user: use that user, or set DATA_DIR") from error


def is_held_by(data: Path, part: str, holder: int) -> bool:
    """Whether the part is still this supervisor's, or its guard's."""
    return is_locked(data, part) and _holder(data, part) == holder


def _who_has_them(data: Path, parts: Sequence[str]) -> str:
    taken = {part: holder for part, holder in supervisors(data).items() if part in parts}
    if not taken:
        return f"an earlier run in {data} has not ended yet: try again in a moment"
    runs_of_them = {holder: theirs for holder, theirs in runs(data).items() if holder in taken.values()}
    to_stop = [part for theirs in runs_of_them.values() for part in theirs]
    numbers = [str(holder) for holder in runs_of_them]
    return (
        f"{subject(taken, 'is', 'are')} already running in {data} "
        f"({'process' if len(numbers) == 1 else 'processes'} {listed(numbers)}): {command('down', to_stop)} stops "
        f"{'it' if len(taken) == 1 or is_whole(taken) else 'them'}"
    )


def _path(data: Path, part: str) -> Path:
    return data / FOLDER / f"{part}.lock"


def _try_lock(file: TextIO, kind: int) -> bool:
    try:
        fcntl.flock(file.fileno(), kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(data: Path, part: str) -> int:
    try:
        return int(_path(data, part).read_text())
    except (ValueError, FileNotFoundError):
        return 0


def _is_alive(process: int) -> bool:
    if process <= 0:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

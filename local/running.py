"""What runs in a data folder: a lock that its supervisor holds, and a file of facts for the other commands."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from local.errors import LocalError

# How long a guard may take to end what a killed supervisor left; it holds the lock meanwhile.
GUARD_SECONDS = 8.0


@dataclass(frozen=True)
class Running:
    """The facts about a running system."""

    pid: int
    vote_url: str
    result_url: str
    worker_url: str
    redis_url: str
    database_url: str
    # The processes by name: vote, worker, result and, if they are ours, postgres and redis.
    pids: dict[str, int] = field(default_factory=dict)


@contextlib.contextmanager
def lock(data: Path) -> Iterator[int]:
    """Be the only one in this data folder; gives the descriptor of the lock."""
    path = _run_folder(data) / "lock"
    with path.open("a+") as file:
        deadline = time.monotonic() + GUARD_SECONDS
        while not _try_lock(file.fileno(), fcntl.LOCK_EX):
            holder = _holder(data)
            if _is_alive(holder) or time.monotonic() > deadline:
                raise LocalError(f"tallyho is already running in {data} (process {holder}): make down stops it")
            time.sleep(0.05)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield file.fileno()
        finally:
            (path.parent / "up.json").unlink(missing_ok=True)
            file.truncate(0)


def write(data: Path, running: Running) -> None:
    """Tell the other commands; at once or not at all."""
    path = _run_folder(data) / "up.json"
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(running), indent=2) + "\n")
    new.replace(path)


def read(data: Path) -> Running | None:
    """The facts about what runs in this data folder, None if nothing does."""
    process = supervisor(data)
    try:
        running = Running(**json.loads((data / "run" / "up.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return running if running.pid == process else None


def supervisor(data: Path) -> int | None:
    """The process that holds the lock of this data folder."""
    try:
        with (data / "run" / "lock").open() as file:
            if _try_lock(file.fileno(), fcntl.LOCK_SH):
                return None
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise LocalError(f"{data} belongs to another user: use that user, or set DATA_DIR") from error
    holder = _holder(data)
    return holder if _is_alive(holder) else None


def is_locked(data: Path) -> bool:
    """Whether a supervisor, or the guard of one that was killed, is still at work."""
    with (data / "run" / "lock").open() as file:
        return not _try_lock(file.fileno(), fcntl.LOCK_SH)


def _run_folder(data: Path) -> Path:
    folder = data / "run"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise LocalError(f"can't write to {data} ({error.strerror}): set DATA_DIR to another folder") from error
    return folder


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(data: Path) -> int:
    try:
        return int((data / "run" / "lock").read_text())
    except ValueError:
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

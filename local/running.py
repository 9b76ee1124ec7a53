"""What runs in a data folder, and who runs it.

Several supervisors may share a data folder, each with parts of its own. For each part there are two files: a lock,
which its supervisor holds, and facts, which its supervisor writes and the other commands read. The reaper of a
supervisor holds the locks as well, so that nobody starts a part anew while its old process is still being ended.
Beside them lie, as long as they matter, a request to restart the part and what is wrong with an edit of it.
"""

import fcntl
import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

from local.errors import LocalError
from local.parts import PARTS, command, is_whole, listed, subject

FOLDER = "run"
# How long a reaper may take to end what a killed supervisor left behind.
REAPER_SECONDS = 8.0


@dataclass(frozen=True)
class Facts:
    """What is known about one part."""

    url: str
    # Servers that it uses and that are not ours: their addresses, by the names of the parts they replace.
    elsewhere: dict[str, str] = field(default_factory=dict)
    # None while it does not run, for example between a crash and the restart.
    pid: int | None = None
    # How many starts of it have come to an end, whether or not the new process ever served.
    starts: int = 0


@dataclass(frozen=True)
class Running:
    """What is known about the whole system, by the names of parts; what is not known is an empty text."""

    urls: dict[str, str]
    pids: dict[str, int]

    @property
    def vote_url(self) -> str:
        """The ballot."""
        return self.urls.get("vote", "")

    @property
    def result_url(self) -> str:
        """The dashboard."""
        return self.urls.get("result", "")

    @property
    def worker_url(self) -> str:
        """The worker's health and metrics."""
        return self.urls.get("worker", "")

    @property
    def redis_url(self) -> str:
        """The queue, ours or the one that the environment names."""
        return self.urls.get("redis", "")

    @property
    def database_url(self) -> str:
        """The database, likewise."""
        return self.urls.get("postgres", "")


def read(data: Path) -> Running | None:
    """What runs in this data folder, None if nothing does."""
    found = {name: facts for name in supervisors(data) if (facts := _read(data, name))}
    if not found:
        return None
    elsewhere = {name: url for facts in found.values() for name, url in facts.elsewhere.items()}
    return Running(
        urls=elsewhere | {name: facts.url for name, facts in found.items()},
        pids={name: facts.pid for name, facts in found.items() if facts.pid is not None},
    )


def part(data: Path, name: str) -> Facts | None:
    """The facts about this part, None if it has no supervisor."""
    return _read(data, name) if name in supervisors(data) else None


def tell(data: Path, name: str, facts: Facts) -> None:
    """Tell the other commands; all of it or nothing."""
    path = _path(data, name, "json")
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(facts), indent=2) + "\n")
    new.replace(path)


def tell_broken(data: Path, name: str, problem: str) -> None:
    """Tell the pages (common/broken_edits.py) that the newest code does not run; an empty text: it does again."""
    path = _path(data, name, "broken")
    if problem:
        path.with_suffix(".new").write_text(f"{problem}\n")
        path.with_suffix(".new").replace(path)
    else:
        path.unlink(missing_ok=True)


def broken(data: Path, name: str) -> str:
    """What is wrong with the newest code of this part, empty if nothing is."""
    try:
        return _path(data, name, "broken").read_text().strip()
    except FileNotFoundError:
        return ""


def request_restart(data: Path, name: str) -> None:
    """Ask the supervisor of this part for a restart: by a file, and a signal to look for it."""
    _path(data, name, "restart").touch()
    os.kill(supervisors(data)[name], signal.SIGUSR1)


def take_requests(data: Path, parts: Iterable[str]) -> list[str]:
    """The parts among these whose restart was asked for, once."""
    asked = [name for name in parts if _path(data, name, "restart").exists()]
    for name in asked:
        _path(data, name, "restart").unlink(missing_ok=True)
    return asked


@contextmanager
def told(data: Path, parts: Sequence[str]) -> Iterator[None]:
    """Leaves no facts of an earlier supervisor before, and none of ours afterwards. The locks must be held."""
    _forget(data, parts)
    try:
        yield
    finally:
        _forget(data, parts)


@contextmanager
def hold(data: Path, parts: Sequence[str]) -> Iterator[tuple[int, ...]]:
    """Be the only one who runs these parts in this data folder; gives the descriptors of the locks."""
    make_folder(data)
    deadline = time.monotonic() + REAPER_SECONDS
    with ExitStack() as stack:
        files = [stack.enter_context(_path(data, name, "lock").open("a+")) for name in parts]
        for name, file in zip(parts, files, strict=True):
            while not _try_lock(file, fcntl.LOCK_EX):
                if _is_alive(_holder(data, name)) or time.monotonic() > deadline:
                    raise LocalError(_who_has_them(data, parts))
                time.sleep(0.05)
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            stack.callback(file.truncate, 0)
        yield tuple(file.fileno() for file in files)


def make_folder(data: Path) -> None:
    """Make the data folder; raises LocalError if that fails, or if nothing can be written to it."""
    folder = data / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise LocalError(f"DATA_DIR={data}: can't be written to ({error.strerror}); name another folder") from error


def supervisors(data: Path) -> dict[str, int]:
    """The parts that run in this data folder, each with the process that supervises it."""
    holders = {name: _holder(data, name) for name in PARTS if is_locked(data, name)}
    return {name: holder for name, holder in holders.items() if _is_alive(holder)}


def runs(data: Path) -> dict[int, list[str]]:
    """The supervisors in this data folder, each with its parts."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for name, holder in supervisors(data).items():
        found[holder].append(name)
    return dict(found)


def is_locked(data: Path, name: str) -> bool:
    """Whether a supervisor of this part, or the reaper of one that was killed, is still at work."""
    try:
        with _path(data, name, "lock").open() as file:
            return not _try_lock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False
    except PermissionError as error:
        raise LocalError(f"{data} belongs to another user: use that user, or set DATA_DIR") from error


def is_held_by(data: Path, name: str, holder: int) -> bool:
    """Whether the part still belongs to this supervisor or its reaper."""
    return is_locked(data, name) and _holder(data, name) == holder


def _who_has_them(data: Path, parts: Sequence[str]) -> str:
    taken = {name: holder for name, holder in supervisors(data).items() if name in parts}
    if not taken:
        return f"an earlier run in {data} has not ended yet: try again in a moment"
    theirs = {holder: names for holder, names in runs(data).items() if holder in taken.values()}
    to_stop = [name for names in theirs.values() for name in names]
    return (
        f"{subject(taken, 'is', 'are')} already running in {data} "
        f"({'process' if len(theirs) == 1 else 'processes'} {listed(map(str, theirs))}): "
        f"{command('down', to_stop)} stops {'it' if len(taken) == 1 or is_whole(taken) else 'them'}"
    )


def _path(data: Path, name: str, suffix: str) -> Path:
    return data / FOLDER / f"{name}.{suffix}"


def _read(data: Path, name: str) -> Facts | None:
    try:
        return Facts(**json.loads(_path(data, name, "json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _forget(data: Path, parts: Sequence[str]) -> None:
    for name in parts:
        for suffix in ("json", "broken", "restart"):
            _path(data, name, suffix).unlink(missing_ok=True)


def _try_lock(file: TextIO, kind: int) -> bool:
    try:
        fcntl.flock(file.fileno(), kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(data: Path, name: str) -> int:
    try:
        return int(_path(data, name, "lock").read_text())
    except (ValueError, FileNotFoundError):
        return 0


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

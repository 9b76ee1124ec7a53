"""What runs in a data folder: a file of facts for each part, written by its supervisor, read by the other commands.

Several supervisors may share a data folder, each with parts of its own. Whoever holds the lock of a part owns its file.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from local import locks


@dataclass(frozen=True)
class Part:
    """The facts about one part."""

    url: str
    # The signal that asks it to stop.
    stop_signal: int
    # Servers that it uses and that are not parts of ours: where they are, by the names of the parts they replace.
    elsewhere: dict[str, str] = field(default_factory=dict)
    # None while it does not run, for example until it is started again after a crash.
    pid: int | None = None


@dataclass(frozen=True)
class Running:
    """The facts about a system, joined from those about its parts. What is not known is an empty text."""

    urls: dict[str, str]
    # The processes by name: vote, worker, result and, if they are ours, postgres and redis.
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


@contextmanager
def told(data: Path, parts: Sequence[str]) -> Iterator[None]:
    """Leave no facts of an earlier supervisor before, and none of ours afterwards. The locks must be held."""
    _forget(data, parts)
    try:
        yield
    finally:
        _forget(data, parts)


def tell(data: Path, name: str, part: Part) -> None:
    """Tell the other commands; at once or not at all."""
    path = _path(data, name)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(part), indent=2) + "\n")
    new.replace(path)


def part(data: Path, name: str) -> Part | None:
    """The facts about this part, None if it has no supervisor."""
    return _part(data, name) if name in locks.supervisors(data) else None


def read(data: Path) -> Running | None:
    """The facts about all that runs in this data folder, None if nothing does."""
    found = {name: known for name in locks.supervisors(data) if (known := _part(data, name))}
    if not found:
        return None
    elsewhere = {name: url for known in found.values() for name, url in known.elsewhere.items()}
    return Running(
        urls=elsewhere | {name: known.url for name, known in found.items()},
        pids={name: known.pid for name, known in found.items() if known.pid is not None},
    )


def _part(data: Path, name: str) -> Part | None:
    try:
        return Part(**json.loads(_path(data, name).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _forget(data: Path, parts: Sequence[str]) -> None:
    for name in parts:
        _path(data, name).unlink(missing_ok=True)


def _path(data: Path, name: str) -> Path:
    return data / locks.FOLDER / f"{name}.json"

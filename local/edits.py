"""Which services an edit concerns, and the one watcher that restarts them."""

import sys
from collections.abc import AsyncIterator, Callable, Mapping
from importlib.util import cache_from_source
from pathlib import Path

from watchfiles import Change, awatch

from local.processes import Keeper

# Who runs the code of a folder. Templates, style sheets and scripts are read when they are asked for: no restart.
CONCERNED: Mapping[str, tuple[str, ...]] = {
    "common": ("vote", "worker", "result"),
    "db": ("worker",),
    "vote": ("vote",),
    "worker": ("worker",),
    "result": ("result",),
}
SUFFIXES = frozenset({".py", ".sql"})
# The Makefile touches it when it has installed packages, which every service may use.
STAMP = Path(sys.prefix) / ".local-installed"


def concerned(project: Path, edited: Path) -> tuple[str, ...]:
    """The services to restart after this file was edited."""
    if edited == STAMP:
        return CONCERNED["common"]
    if edited.suffix not in SUFFIXES or not edited.is_relative_to(project):
        return ()
    return CONCERNED.get(edited.relative_to(project).parts[0], ())


async def edits(project: Path) -> AsyncIterator[dict[str, str]]:
    """After each edit, the services it concerns, each with the name of a file that was edited."""
    places = [place for place in (*(project / name for name in CONCERNED), STAMP) if place.exists()]

    def matters(_change: Change, path: str) -> bool:
        return bool(concerned(project, Path(path)))

    async for changes in awatch(*places, watch_filter=matters, debounce=200, step=50):
        files = sorted(Path(path) for _, path in changes)
        for file in files:
            forget_compiled(file)
        yield {service: _shown(project, file) for file in files for service in concerned(project, file)}


def forget_compiled(file: Path) -> None:
    """Remove what Python compiled of it: it takes two edits of one size within one second for the same."""
    if file.suffix == ".py":
        Path(cache_from_source(str(file))).unlink(missing_ok=True)


async def restart_on_edits(project: Path, keepers: Mapping[str, Keeper], say: Callable[[str], None]) -> None:
    """Restart services, by their names, for as long as this runs."""
    try:
        async for concerned in edits(project):
            for name in keepers.keys() & concerned.keys():
                keepers[name].restart(f"{concerned[name]} changed")
    except OSError as error:
        say(f"edits are not noticed, because files can't be watched: {error}")


def _shown(project: Path, file: Path) -> str:
    return str(file.relative_to(project) if file.is_relative_to(project) else file)

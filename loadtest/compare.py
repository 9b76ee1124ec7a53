"""Two runs side by side: `python -m loadtest compare [BEFORE AFTER]`, by their names; without, the last two."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from loadtest.errors import LoadTestError
from loadtest.settings import data_folder

# More than chance: by so much, and by so many milliseconds.
WORSE = 1.2
WORSE_MS = 5.0

HIGHER_IS_WORSE = ("error_rate", "vote_p95_ms", "vote_p99_ms", "vote_to_screen_p99_ms")
COLUMNS = ("p50_ms", "p95_ms", "p99_ms")


def compare(names: Sequence[str]) -> int:
    """Print two runs side by side; 1 if something got worse."""
    folder = data_folder() / "loadtest"
    before, after = (_read(path) for path in _paths(folder, names))
    lines = list(side_by_side(before, after))
    print("\n".join(lines))
    return 1 if any(line.endswith("WORSE") for line in lines) else 0


def side_by_side(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Each figure of both runs; a line of what got worse ends so."""
    yield _line("", before["run"], after["run"], "")
    for name in ("lost", "doubled", "reverted"):
        was, now = before["audit"].get(name), after["audit"].get(name)
        yield _line(name, was, now, _mark(worse=(now or 0) > (was or 0)))
    was, now = before["votes_per_second"], after["votes_per_second"]
    yield _line("votes_per_second", was, now, _mark(worse=now * WORSE < was))
    for name in HIGHER_IS_WORSE:
        was, now = before.get(name), after.get(name)
        least = 0.001 if name == "error_rate" else WORSE_MS
        yield _line(name, was, now, _mark(worse=is_worse(was, now, least=least)))
    entries = {row["name"]: row for row in before["table"]}
    for row in after["table"]:
        for column in COLUMNS:
            was, now = entries.get(row["name"], {}).get(column), row[column]
            yield _line(f"{row['name']} {column}", was, now, _mark(worse=is_worse(was, now)))


def is_worse(was: float | None, now: float | None, *, least: float = WORSE_MS) -> bool:
    """Whether a figure that should be low has grown by more than chance."""
    return was is not None and now is not None and now > was * WORSE and now - was > least


def _paths(folder: Path, names: Sequence[str]) -> list[Path]:
    if len(names) not in (0, 2):
        raise LoadTestError("name two runs by BEFORE=... and AFTER=..., or none for the last two")
    paths = [folder / name / "result.json" for name in names] or sorted(folder.glob("*/result.json"))[-2:]
    if len(paths) < 2:
        raise LoadTestError(f"there are no two runs in {folder}: make loadtest-headless makes one")
    return paths


def _read(path: Path) -> dict[str, Any]:
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        runs = ", ".join(sorted(found.parent.name for found in path.parent.parent.glob("*/result.json")))
        raise LoadTestError(f"there is no run {path.parent.name}; there are: {runs or 'none'}") from error
    return result


def _line(name: str, was: object, now: object, mark: str) -> str:
    return f"{name:<44} {_text(was):>18} {_text(now):>18}  {mark}".rstrip()


def _text(value: object) -> str:
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _mark(*, worse: bool) -> str:
    return "WORSE" if worse else ""

"""Two runs side by side: `python -m loadtest compare [BEFORE AFTER]`, by name; by default the last two."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from loadtest import LoadTestError
from loadtest.settings import data_folder

# What is more than chance: a factor, and for times also a number of milliseconds.
WORSE = 1.2
WORSE_MS = 5.0
# With fewer requests a percentile is chance: of 100, five are slower than their p95.
LEAST_REQUESTS = {"p50_ms": 50, "p95_ms": 100, "p99_ms": 500}
LEAST_VOTES = 100  # for the votes a second, and for the share of failures
TOLERANCE = (
    f"WORSE: by more than {WORSE - 1:.0%}, and for a time by more than {WORSE_MS:g} ms. It may be chance with fewer "
    f"requests than {', '.join(f'{least} ({name[:3]})' for name, least in LEAST_REQUESTS.items())}."
)

TO_SCREEN = "WS vote to screen"
TIMES = ("vote_p95_ms", "vote_p99_ms", "vote_to_screen_p99_ms")


def compare(names: Sequence[str]) -> int:
    """Print two runs side by side; 1 if something got worse."""
    folder = data_folder() / "loadtest"
    before, after = (_read(path) for path in _paths(folder, names))
    lines = list(side_by_side(before, after))
    print(TOLERANCE, "", *lines, sep="\n")
    return 1 if any(line.endswith("WORSE") for line in lines) else 0


def side_by_side(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Each figure of both runs; the line of one that got worse ends with WORSE."""
    yield _line("", before["run"], after["run"], "")
    for name in ("lost", "doubled", "reverted"):
        was, now = before["audit"].get(name), after["audit"].get(name)
        yield _line(name, was, now, _mark(worse=(now or 0) > (was or 0)))
    votes = min(before["votes"], after["votes"])
    was, now = before["votes_per_second"], after["votes_per_second"]
    yield _line("votes_per_second", was, now, _mark(worse=now * WORSE < was, requests=votes, least=LEAST_VOTES))
    was, now = before.get("error_rate"), after.get("error_rate")
    worse = is_worse(was, now, least=0.001)
    yield _line("error_rate", was, now, _mark(worse=worse, requests=votes, least=LEAST_VOTES))
    for name in TIMES:
        requests = _requests(before, after, TO_SCREEN) if "screen" in name else votes
        yield _time(name, before.get(name), after.get(name), requests=requests)
    entries = {row["name"]: row for row in before["table"]}
    for row in after["table"]:
        for column in LEAST_REQUESTS:
            was, now = entries.get(row["name"], {}).get(column), row[column]
            yield _time(f"{row['name']} {column}", was, now, requests=_requests(before, after, row["name"]))


def is_worse(was: float | None, now: float | None, *, least: float = WORSE_MS) -> bool:
    """Whether a figure that should be low has grown by more than chance explains."""
    return was is not None and now is not None and now > was * WORSE and now - was > least


def _paths(folder: Path, names: Sequence[str]) -> list[Path]:
    if len(names) not in (0, 2):
        raise LoadTestError("name two runs with BEFORE=... and AFTER=..., or none for the last two")
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


def _requests(before: dict[str, Any], after: dict[str, Any], name: str) -> int:
    """The number of requests of this kind, in the run that had fewer."""
    counts: list[int] = [sum(row["requests"] for row in run["table"] if row["name"] == name) for run in (before, after)]
    return min(counts)


def _time(name: str, was: float | None, now: float | None, *, requests: int) -> str:
    least = next(count for column, count in LEAST_REQUESTS.items() if name.endswith(column))
    return _line(name, was, now, _mark(worse=is_worse(was, now), requests=requests, least=least))


def _line(name: str, was: object, now: object, mark: str) -> str:
    return f"{name:<44} {_text(was):>18} {_text(now):>18}  {mark}".rstrip()


def _text(value: object) -> str:
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _mark(*, worse: bool, requests: int = 0, least: int = 0) -> str:
    if not worse:
        return ""
    return "WORSE" if requests >= least else f"perhaps: only {requests} requests"

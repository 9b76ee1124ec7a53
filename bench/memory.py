"""How much memory an environment needs: containers as Docker counts them, processes by their proportional share."""

import re
from collections.abc import Iterable
from pathlib import Path

UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
USED = re.compile(r"^(?P<name>\S+)\t(?P<value>[\d.]+)(?P<unit>B|KiB|MiB|GiB) /", re.MULTILINE)
STATS = ("docker", "stats", "--no-stream", "--format", "{{.Name}}\t{{.MemUsage}}")


def of_containers(stats: str, names: Iterable[str]) -> int:
    """The bytes that these containers use, from what `docker stats` prints."""
    used = {found["name"]: float(found["value"]) * UNITS[found["unit"]] for found in USED.finditer(stats)}
    return round(sum(used[name] for name in names))


def of_processes(first: int) -> int | None:
    """The bytes of a process and all that it started; what several share is divided among them. None if not known."""
    if not Path("/proc/self/smaps_rollup").exists():
        return None
    return sum(_share(process) for process in family(first))


def family(first: int) -> list[int]:
    """A process and all that it started (Linux only)."""
    found, waiting = [], [first]
    while waiting:
        process = waiting.pop()
        found.append(process)
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            waiting += [int(child) for child in _read(children).split()]
    return found


def _share(process: int) -> int:
    share = re.search(r"^Pss: +(\d+) kB$", _read(Path(f"/proc/{process}/smaps_rollup")), re.MULTILINE)
    return int(share[1]) * 1024 if share else 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has just ended
        return ""

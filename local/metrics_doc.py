"""docs/metrics.md, made from the code: what each service counts and measures, in its own words.

`python -m local.metrics_doc` writes it; a test holds it against the code.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from local.environment import PROJECT

SERVICES = ("vote", "worker", "result")
DOCUMENT = PROJECT / "docs" / "metrics.md"

HEAD = """# Metrics

Made from the code by `make metrics-doc`: don't edit it here. Each service answers `GET /metrics`; all also expose
the Prometheus client's own `process_*` and `python_*`. A histogram `name` is the three series
`name_bucket`, `name_count` and `name_sum`. The rules and dashboards in [observe](../observe) use them.
"""

# Run in a process of its own for each service: it tells what exactly that service registers.
_LIST = """
import importlib, json, sys
from prometheus_client import REGISTRY
importlib.import_module(f"{sys.argv[1]}.__main__")
print(json.dumps([
    [family.name, family.type, family.documentation, list(getattr(collector, "_labelnames", ()))]
    for collector in REGISTRY._collector_to_names
    if hasattr(collector, "describe")  # those of the client itself don't have it
    for family in collector.describe()
    if not family.name.startswith(("process_", "python_"))
]))
"""


@dataclass(frozen=True)
class Metric:
    """One metric as Prometheus knows it."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...]

    @property
    def title(self) -> str:
        """With its labels, as in a query."""
        return f"{self.name}{{{','.join(self.labels)}}}" if self.labels else self.name


@cache
def metrics_of(service: str) -> list[Metric]:
    """What a service tells Prometheus."""
    command = [sys.executable, "-c", _LIST, service]
    done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True)
    return [
        Metric(f"{name}_total" if kind == "counter" else name, kind, meaning, tuple(labels))
        for name, kind, meaning, labels in json.loads(done.stdout)
    ]


def document() -> str:
    """The text of docs/metrics.md."""
    tellers: dict[Metric, list[str]] = {}
    for service in SERVICES:
        for metric in metrics_of(service):
            tellers.setdefault(metric, []).append(service)
    groups = sorted({tuple(services) for services in tellers.values()}, key=lambda group: (-len(group), group))
    sections = [
        _section(group, [metric for metric, services in tellers.items() if tuple(services) == group])
        for group in groups
    ]
    return "\n".join([HEAD, *sections])


def _section(services: Iterable[str], metrics: list[Metric]) -> str:
    rows = [f"| `{each.title}` | {each.kind} | {each.meaning} |" for each in sorted(metrics, key=lambda m: m.name)]
    return "\n".join([f"## {', '.join(services)}", "", "| metric | type | what |", "|---|---|---|", *rows, ""])


def write(path: Path = DOCUMENT) -> None:
    """Write the document."""
    path.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    write()

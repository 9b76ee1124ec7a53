"""docs/metrics.md says what the code measures, and what Prometheus and Grafana are told to ask for is measured."""

import json
import re
from typing import Any

import pytest

from local.metrics_doc import DOCUMENT, SERVICES, Metric, document, metrics_of
from tests.observe.names import metrics_in
from tests.repository.test_environments import parsed
from tests.repository.tree import PROJECT

OBSERVE = PROJECT / "observe"
# Prometheus' own, and those of its client
GIVEN = {"up", "ALERTS", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"}
UNITS = ("_seconds", "_bytes", "_total")
# what is simply a number of things
COUNTED = {"viewers", "counting", "standing_by", "batch_size", "votes_waiting", "votes_rejected_kept"}
COUNTED |= {"connections_open", "connections_limit"}
# each has as many values as we have options, routes, servers and so on; none is what a client sends
LABELS = {"limit", "method", "option", "per", "route", "server", "state", "status"}


@pytest.fixture(scope="module")
def metrics() -> set[Metric]:
    return {metric for service in SERVICES for metric in metrics_of(service)}


def test_the_document_is_made_from_the_code() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "make metrics-doc writes it anew"


def test_a_metrics_name_has_its_unit(metrics: set[Metric]) -> None:
    assert not [metric.name for metric in metrics if not metric.name.endswith(UNITS) and metric.name not in COUNTED]


def test_a_label_has_few_values(metrics: set[Metric]) -> None:
    assert {label for metric in metrics for label in metric.labels} <= LABELS


def test_what_rules_and_dashboards_ask_for_is_measured(metrics: set[Metric]) -> None:
    histograms = {metric.name for metric in metrics if metric.kind == "histogram"}
    series = {f"{name}_{part}" for name in histograms for part in ("bucket", "count", "sum")}
    known = {metric.name for metric in metrics} | series | GIVEN | set(recorded())
    asked = set().union(*map(metrics_in, expressions()))

    assert len(asked) > 20
    assert asked <= known


def test_operations_say_what_to_do_about_each_alert() -> None:
    alerts = {rule["alert"] for rule in rules("alerts.yml")}
    told = set(re.findall(r"`(\w+)`", (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")))

    assert len(alerts) > 10
    assert alerts <= told


def rules(file: str) -> list[dict[str, Any]]:
    return [rule for group in parsed(f"observe/rules/{file}")["groups"] for rule in group["rules"]]


def recorded() -> list[str]:
    return [rule["record"] for rule in rules("recording.yml")]


def expressions() -> list[str]:
    """Those of the rules, and those of the dashboards."""
    found = [rule["expr"] for path in sorted((OBSERVE / "rules").glob("*.yml")) for rule in rules(path.name)]
    for path in sorted((OBSERVE / "grafana" / "dashboards").glob("*.json")):
        panels = json.loads(path.read_text(encoding="utf-8"))["panels"]
        found += [target["expr"] for panel in panels for target in panel["targets"]]
    return found

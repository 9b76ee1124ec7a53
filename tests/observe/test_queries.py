"""Every query of every dashboard and every rule, asked of a real Prometheus that asks the real services."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.environment import PROJECT
from tests.observe.live import Prometheus, prometheus_beside, system_under_load
from tests.observe.names import metrics_in

pytestmark = pytest.mark.timeout(180)

DASHBOARDS = sorted((PROJECT / "observe" / "grafana" / "dashboards").glob("*.json"))


def queries() -> list[Any]:
    """Every query of every panel."""
    return [
        pytest.param(target["expr"].replace("$__rate_interval", "20s"), id=f"{path.stem}: {panel['title']}")
        for path in DASHBOARDS
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]
        for target in panel["targets"]
    ]


@pytest.fixture(scope="module")
def live(prometheus: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("live")
    with (
        system_under_load(folder) as services,
        prometheus_beside(prometheus, folder / "prometheus", services) as running,
    ):
        running.until_there_is("votes_rejected_total > 0")
        yield running


@pytest.mark.parametrize("expression", queries())
def test_a_panel_shows_data(live: Prometheus, expression: str) -> None:
    assert live.until_there_is(expression)


def test_every_recorded_series_has_data(live: Prometheus) -> None:
    names = [rule["name"] for rule in rules(live) if rule["type"] == "recording"]

    assert len(names) >= 9
    for name in names:
        live.until_there_is(name)


def test_every_alert_is_evaluated_without_error_and_knows_its_series(live: Prometheus) -> None:
    alerts = [rule for rule in rules(live) if rule["type"] == "alerting"]

    assert len(alerts) >= 9
    for alert in alerts:
        assert alert["health"] == "ok", alert
        names = metrics_in(alert["query"])
        assert names, alert["query"]
        for name in names:
            live.until_there_is(name)


def test_a_system_that_is_well_alerts_nobody_but_of_the_messages_that_are_no_votes(live: Prometheus) -> None:
    live.until_there_is('ALERTS{alertname="VotesRejected"}')

    firing = live.ask("query", query='ALERTS{alertstate="firing"}')["result"]
    assert {alert["metric"]["alertname"] for alert in firing} <= {"VotesRejected", "EventLoopLate"}


def rules(live: Prometheus) -> list[dict[str, Any]]:
    return [rule for group in live.ask("rules")["groups"] for rule in group["rules"]]

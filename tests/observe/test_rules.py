"""The rules say what they should, by Prometheus' own judgement."""

import re
from pathlib import Path

import pytest

from local.environment import PROJECT
from local.prometheus import configuration
from tests.observe.conftest import Promtool

OBSERVE = PROJECT / "observe"
TESTS = sorted((OBSERVE / "rules" / "tests").glob("*.yml"))


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus.containers.yml"])
def test_the_configuration_is_valid(promtool: Promtool, name: str) -> None:
    assert "SUCCESS: 2 rule files found" in promtool("check", "config", OBSERVE / name)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_configuration_for_other_ports_is_valid_and_has_them(
    promtool: Promtool, tmp_path: Path, scheme: str
) -> None:
    urls = {"vote": f"{scheme}://localhost:6000", "worker": "http://[::1]:6001", "result": "http://10.0.0.7:6002"}
    path = tmp_path / "prometheus.yml"
    path.write_text(configuration(urls))

    assert "SUCCESS: 2 rule files found" in promtool("check", "config", path)
    assert re.findall(r'targets: \["(.*)"\]', path.read_text()) == ["localhost:6000", "[::1]:6001", "10.0.0.7:6002"]
    assert ("scheme: https" in path.read_text()) == (scheme == "https")


def test_the_rules_are_valid(promtool: Promtool) -> None:
    promtool("check", "rules", *sorted((OBSERVE / "rules").glob("*.yml")))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_each_alert_comes_when_it_must_and_only_then(promtool: Promtool, path: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", path)


def test_no_alert_is_without_a_test_that_it_comes() -> None:
    alerts = re.findall(r"- alert: (\w+)", (OBSERVE / "rules" / "alerts.yml").read_text())
    tested = re.findall(
        r"alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:\n", "".join(path.read_text() for path in TESTS)
    )

    assert alerts
    assert set(tested) == set(alerts)


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    text = (OBSERVE / "rules" / "alerts.yml").read_text()
    alerts = re.split(r"- alert: ", text)[1:]

    assert not [
        alert.split("\n")[0]
        for alert in alerts
        if not re.search(r"severity: (page|ticket) \}", alert) or "summary:" not in alert or "description:" not in alert
    ]

"""The rules say what they should, by Prometheus' own judgement."""

from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from local.environment import PROJECT
from local.prometheus import configuration
from tests.observe.conftest import Promtool
from tests.repository.test_metrics import rules

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
    jobs = {job["job_name"]: job for job in yaml.safe_load(path.read_text())["scrape_configs"]}
    assert {name: job["static_configs"][0]["targets"] for name, job in jobs.items()} == {
        "vote": ["localhost:6000"],
        "worker": ["[::1]:6001"],
        "result": ["10.0.0.7:6002"],
    }
    assert {name: job.get("scheme", "http") for name, job in jobs.items()} == {
        "vote": scheme,
        "worker": "http",
        "result": "http",
    }


def test_the_rules_are_valid(promtool: Promtool) -> None:
    promtool("check", "rules", *sorted((OBSERVE / "rules").glob("*.yml")))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_each_alert_comes_when_it_must_and_only_then(promtool: Promtool, path: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", path)


def test_no_alert_is_without_a_test_that_it_comes() -> None:
    tests = [test for path in TESTS for test in yaml.safe_load(path.read_text())["tests"]]
    expected = [each for test in tests for each in test.get("alert_rule_test", []) if each["exp_alerts"]]

    assert expected
    assert {each["alertname"] for each in expected} == {rule["alert"] for rule in rules("alerts.yml")}


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for alert in rules("alerts.yml"):
        assert alert["labels"]["severity"] in ("page", "ticket"), alert
        assert alert["annotations"]["summary"], alert
        assert alert["annotations"]["description"], alert

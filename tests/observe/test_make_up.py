"""`make up OBSERVE=1`: Prometheus beside the rest."""

from pathlib import Path

import httpx
import pytest

from common.settings import Settings
from local.prometheus import observers
from tests.observe.live import Prometheus
from tests.ports import free_port
from tests.system import running_system
from tests.waiting import eventually

URLS = {"vote": "http://localhost:5000", "worker": "http://localhost:9100", "result": "http://localhost:5001"}


@pytest.mark.timeout(180)
def test_prometheus_runs_beside_the_rest_and_finds_all_three_services(prometheus: str, tmp_path: Path) -> None:
    port = free_port()
    with running_system(tmp_path, {"OBSERVE": "1", "PROMETHEUS_PORT": str(port)}) as system:
        asked = Prometheus(f"http://127.0.0.1:{port}")
        eventually(lambda: sorted(asked.values("up")) == [1, 1, 1], within=60, despite=(httpx.TransportError,))
        assert len(asked.ask("rules")["groups"]) >= 2
    assert f"http://localhost:{port}" in system.log.read_text()


def test_where_prometheus_is_not_there_a_line_says_so_and_all_runs_without_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("local.prometheus.shutil.which", lambda _: None)

    assert observers(Settings(observe=True), URLS) == []
    assert "there is no Prometheus on PATH" in capsys.readouterr().out


def test_nobody_who_did_not_ask_gets_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert observers(Settings(), URLS) == []
    assert not capsys.readouterr().out

"""What all benchmarks share: settings, commands, servers, and one run at a time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from bench.processes import Shell, answers, memory_bytes, stop
from bench.settings import HOST, BenchError, alone, clean_environment, names, whole_number
from local.ports import free_port


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path, clean_environment(), tmp_path / "log")


@pytest.mark.parametrize("value", ["many", "-5", "1.5", "10", "nan"])
def test_a_number_that_makes_no_sense_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("VOTES", value)
    with pytest.raises(BenchError, match=f"^VOTES={value}: give a whole number from 1,000 on"):
        whole_number("VOTES", 5000, least=1000)


def test_a_number_may_be_written_with_commas_and_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTES", "1,000,000")
    assert whole_number("VOTES", 5000) == 1_000_000
    monkeypatch.setenv("VOTES", "")
    assert whole_number("VOTES", 5000) == 5000


def test_names_keep_their_order_and_an_unknown_one_lists_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    known = ["tilt", "compose", "up"]
    assert names("ENVIRONMENTS", known) == ("tilt", "compose", "up")
    monkeypatch.setenv("ENVIRONMENTS", "up, tilt")
    assert names("ENVIRONMENTS", known) == ("up", "tilt")
    monkeypatch.setenv("ENVIRONMENTS", "tilt podman")
    with pytest.raises(BenchError, match="there is no 'podman': name some of tilt, compose, up"):
        names("ENVIRONMENTS", known)


def test_nothing_leads_a_contender_to_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "DATABASE_URL_FILE", "DATA_DIR", "VENV", "COMPOSE_FILE", "OPTION_C", "SECRET_KEY"):
        monkeypatch.setenv(name, "somewhere else")
    assert "somewhere else" not in clean_environment().values()


@pytest.mark.parametrize(("module", "setting"), [("bench.edits", "ENVIRONMENTS"), ("bench.speed", "STAGES")])
def test_a_bad_setting_ends_the_program_with_one_line(tmp_path: Path, module: str, setting: str) -> None:
    environ = os.environ | {setting: "nonsense", "DATA_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-m", module], env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{setting}: there is no 'nonsense': name some of ")
    assert len(done.stderr.splitlines()) == 1


def test_two_benchmarks_at_once_are_refused(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(BenchError, match="wait for its end"), alone(tmp_path):
        pass


def test_a_command_that_fails_is_told_with_the_end_of_its_output(shell: Shell) -> None:
    assert shell.run("echo", "all is well") == "all is well\n"
    with pytest.raises(BenchError, match=r"ended with 3:\nno such image"):
        shell.run("sh", "-c", "echo no such image >&2; exit 3")


def test_a_server_is_gone_afterwards_with_what_it_started(shell: Shell, tmp_path: Path) -> None:
    child = f"{sys.executable} -c 'import time; time.sleep(60)' & echo $! > {tmp_path}/child; wait"
    with shell.serve("sh", "-c", child, ready=lambda: bool((tmp_path / "child").exists())) as process:
        grandchildren = psutil.Process(process.pid).children(recursive=True)
    assert process.poll() is not None
    assert grandchildren
    _, alive = psutil.wait_procs(grandchildren, timeout=30)
    assert not alive


def test_a_server_is_ready_when_it_answers(shell: Shell) -> None:
    port = free_port(HOST)
    command = (sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1")
    assert not answers(port)()
    with shell.serve(*command, ready=answers(port), core=0) as process:
        assert answers(port)()
        assert not answers(port, "/no-such-page")()
        assert memory_bytes(process.pid)
        assert memory_bytes(process.pid, without=(psutil.Process(process.pid).name(),)) == 0


def test_a_server_that_ends_before_it_is_ready_says_its_last_words(shell: Shell) -> None:
    with (
        pytest.raises(BenchError, match="no port for me"),
        shell.serve("sh", "-c", "echo no port for me", ready=lambda: False),
    ):
        pass


def test_a_process_that_is_stopped_gets_the_signal_it_wants(shell: Shell, tmp_path: Path) -> None:
    waits = f"trap 'echo interrupted; exit' INT; touch {tmp_path}/ready; while :; do sleep 0.1; done"
    with shell.serve("sh", "-c", waits, ready=(tmp_path / "ready").exists) as process:
        stop(process, signal.SIGINT)
    assert "interrupted" in shell.log.read_text()

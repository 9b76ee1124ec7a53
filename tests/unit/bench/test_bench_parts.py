"""The small parts of the benchmark: settings, memory, what an answer says about a vote, the watches."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bench.commands import Shell
from bench.errors import BenchError, NotSeen
from bench.memory import of_containers
from bench.settings import inherited, read_settings
from bench.voting import read_audit
from bench.watch import PageWatch, Sign, from_inside


class Page(BaseHTTPRequestHandler):
    """Shows the marker from the second request on; the first one fails."""

    asked = 0

    def do_GET(self) -> None:
        Page.asked += 1
        self.send_response(503 if Page.asked == 1 else 200)
        self.end_headers()
        self.wfile.write(b"marker 7" if Page.asked > 2 else b"as before")

    def log_message(self, format: str, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Page.asked = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize(("name", "value"), [("ENVIRONMENTS", "tilt podman"), ("ROUNDS", "0"), ("ROUNDS", "many")])
def test_a_setting_that_makes_no_sense_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BenchError, match=name):
        read_settings()


def test_the_environments_are_measured_in_the_order_in_which_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENTS", "up, tilt")
    monkeypatch.setenv("ROUNDS", "5")
    assert (read_settings().environments, read_settings().rounds) == (("up", "tilt"), 5)


def test_nothing_leads_the_copy_to_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "DATABASE_URL_FILE", "DATA_DIR", "VENV", "COMPOSE_FILE"):
        monkeypatch.setenv(name, "somewhere else")
    assert "somewhere else" not in inherited().values()


def test_the_memory_of_other_containers_is_not_ours() -> None:
    stats = "mine-vote-1\t40.5MiB / 128MiB\nmine-db-1\t1GiB / 2GiB\nother-1\t99MiB / 1GiB\n"
    assert of_containers(stats, ["mine-vote-1", "mine-db-1"]) == round(40.5 * 1024**2) + 1024**3


def test_a_vote_that_the_audit_calls_reverted_counts_as_lost(tmp_path: Path) -> None:
    audit = {"accepted": 10, "lost": 1, "reverted": 2, "refused": 3, "in_doubt": 4, "problems": ["lost: ..."]}
    (tmp_path / "audit.json").write_text(json.dumps(audit))
    votes = read_audit(tmp_path / "audit.json")
    assert (votes.accepted, votes.counted, votes.lost, votes.unclear) == (10, 7, 3, 7)
    assert votes.problems


def test_a_watch_goes_on_through_errors_until_the_page_shows_it(url: str) -> None:
    PageWatch(Sign(url, "marker 7", within=20)).wait()
    assert Page.asked == 3


def test_a_watch_for_absence_is_not_content_with_an_error(url: str) -> None:
    PageWatch(Sign(url, "marker 7", there=False, within=20)).wait()
    assert Page.asked == 2


def test_a_watch_gives_up(url: str) -> None:
    with pytest.raises(NotSeen, match="marker 8"):
        PageWatch(Sign(url, "marker 8", within=0.2)).wait()


def test_a_watch_from_inside_sees_the_same(url: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path, inherited(), tmp_path / "log")
    # `env` stands for `docker compose exec`, which puts the command into a container
    (tmp_path / "python").symlink_to(sys.executable)
    command = ("env", f"PATH={tmp_path}")
    with from_inside(Sign(url, "marker 7", within=20), shell, *command) as watch:
        watch.wait()
    with (
        pytest.raises(NotSeen, match="marker 8"),
        from_inside(Sign(url, "marker 8", within=0.2), shell, *command) as watch,
    ):
        watch.wait()


def test_a_container_in_which_nobody_can_be_asked_is_an_error(url: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path, inherited(), tmp_path / "log")
    with pytest.raises(BenchError, match="inside"), from_inside(Sign(url, "marker 7"), shell, "false"):
        pass


def test_a_command_that_fails_is_told_with_the_end_of_what_it_said(tmp_path: Path) -> None:
    shell = Shell(tmp_path, inherited(), tmp_path / "log")
    with pytest.raises(BenchError, match=r"ended with 3:\nno such image"):
        shell.run("sh", "-c", "echo no such image >&2; exit 3")


def test_bad_settings_end_the_program_with_one_line(tmp_path: Path) -> None:
    environ = inherited() | {"ROUNDS": "x", "DATA_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-m", "bench"], env=environ, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1

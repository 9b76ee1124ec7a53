"""`make up` as a person meets it, in a copy of the project, with real servers and services."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local import running
from tests.services import PROJECT, free_port
from tests.waiting import eventually

PARTS = ("common", "db", "vote", "worker", "result", "local")
NAMES = {"postgres", "redis", "vote", "worker", "result"}
READY_SECONDS = 40.0
STOP_SECONDS = 10.0

pytestmark = pytest.mark.timeout(120)


class Up:
    """A copy of the project in which `python -m local up` runs."""

    def __init__(self, project: Path, **environ: str) -> None:
        self.project = project
        self.ports = {"VOTE_PORT": free_port(), "RESULT_PORT": free_port(), "WORKER_PORT": free_port()}
        self.data = project / ".data"
        kept = {name: value for name, value in os.environ.items() if not name.endswith(("_URL", "DATA_DIR"))}
        self.environ = kept | {name: str(port) for name, port in self.ports.items()} | environ
        self.lines: list[str] = []
        self._is_enough = threading.Event()
        self.process = self._start("up")
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def run(self, *arguments: str, stdin: str = "") -> tuple[int, str]:
        """The exit code and the output of another command in the copy."""
        with self._start(*arguments) as process:
            output, _ = process.communicate(stdin, timeout=60)
        return process.returncode, output

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "local", *arguments],
            cwd=self.project,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def until_line(self, pattern: str, *, after: int = 0) -> str:
        """The first line with this pattern."""
        return eventually(
            lambda: next((line for line in self.lines[after:] if re.search(pattern, line)), ""),
            within=READY_SECONDS,
            saying=f"a line with {pattern!r} in:\n{''.join(self.lines)}",
        )

    def until_ready(self) -> None:
        self.until_line(r"tallyho is ready \(\d+\.\d s\)")

    def facts(self) -> running.Running:
        """What the other commands know of it."""
        facts = eventually(self._complete_facts, within=READY_SECONDS)
        assert facts is not None
        return facts

    def family(self) -> set[int]:
        """Every process that was started by it, however indirectly."""
        return descendants(self.process.pid)

    def vote(self, option: str) -> int:
        answer = httpx.post(f"{self.facts().vote_url}/api/votes", json={"vote": option}, timeout=10)
        return answer.status_code

    def tally(self) -> int:
        return int(httpx.get(f"{self.facts().result_url}/api/tally", timeout=10).json()["total"])

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(STOP_SECONDS)
        self.reader.join(5)

    def go_away(self) -> None:
        """Close the reader's end of the log, as `head` does, after the next line."""
        self._is_enough.set()

    def close(self) -> None:
        """End what a failed test has left, and it must be little."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.reader.join(10)
        if self.process.stdin:
            self.process.stdin.close()

    def _complete_facts(self) -> running.Running | None:
        facts = running.read(self.data)
        return facts if facts and set(facts.pids) == NAMES else None

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            while not self._is_enough.is_set() and (line := output.readline()):
                self.lines.append(line)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One that several tests use, because each start costs seconds; it stays as they found it, but for its votes."""
    up = Up(copy_of_the_project(tmp_path_factory.mktemp("shared") / "project"))
    try:
        up.until_ready()
        yield up
    finally:
        up.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_of_the_project(tmp_path / "project")


@pytest.fixture
def up(project: Path) -> Iterator[Up]:
    up = Up(project)
    try:
        up.until_ready()
        yield up
    finally:
        up.close()


def test_up_says_where_to_vote_and_to_watch_and_both_answer(shared: Up) -> None:
    text = "".join(shared.lines)
    assert f"vote at   http://localhost:{shared.ports['VOTE_PORT']}" in text
    assert f"watch at  http://localhost:{shared.ports['RESULT_PORT']}" in text
    before = shared.tally()
    assert shared.vote("a") == httpx.codes.ACCEPTED
    eventually(lambda: shared.tally() == before + 1, within=10)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything_within_ten_seconds_and_the_votes_survive(up: Up, how: signal.Signals) -> None:
    assert up.vote("b") == httpx.codes.ACCEPTED
    family = up.family()
    assert len(family) > len(NAMES)
    up.end(how)
    assert up.process.returncode == 0
    assert not family & alive()
    assert running.read(up.data) is None

    again = Up(up.project)
    try:
        again.until_ready()
        eventually(lambda: again.tally() == 1, within=10)
    finally:
        again.close()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_what_is_killed_is_started_again_with_a_line_that_says_so(shared: Up, name: str) -> None:
    killed = shared.facts().pids[name]
    seen = len(shared.lines)
    os.kill(killed, signal.SIGKILL)
    shared.until_line(rf"{name} +\| was killed by SIGKILL; starts again in \d\.\d s", after=seen)
    eventually(lambda: shared.facts().pids[name] != killed, within=10)
    eventually(lambda: shared.vote("a") == httpx.codes.ACCEPTED, within=20, despite=(httpx.TransportError,))
    assert eventually(shared.tally, within=20, despite=(httpx.TransportError, KeyError))


def test_a_supervisor_that_is_killed_leaves_no_process_and_no_obstacle(up: Up) -> None:
    family = up.family()
    up.end(signal.SIGKILL)
    eventually(lambda: not family & alive(), within=STOP_SECONDS)
    again = Up(up.project)
    try:
        again.until_ready()
    finally:
        again.close()


def test_servers_that_were_left_behind_are_ended_before_new_ones_start(up: Up) -> None:
    """Two Redis on one append-only file would spoil it. It takes a kill -9 of the supervisor and of its guard."""
    assert up.vote("a") == httpx.codes.ACCEPTED
    eventually(lambda: up.tally() == 1, within=10)
    pids = up.facts().pids
    parents = processes()
    guard = next(pid for pid in up.family() if parents[pid] == up.process.pid and pid not in pids.values())
    os.kill(guard, signal.SIGKILL)
    up.end(signal.SIGKILL)
    for name in ("vote", "worker", "result"):
        os.kill(pids[name], signal.SIGKILL)
    assert {pids["postgres"], pids["redis"]} <= alive()
    again = Up(up.project)
    try:
        again.until_line(r"redis +\| ended a Redis that an earlier run left behind")
        again.until_line(
            rf"postgres +\| ended a PostgreSQL that an earlier run left behind \(process {pids['postgres']}\)"
        )
        again.until_ready()
        assert not {pids["postgres"], pids["redis"]} & alive()
        assert again.tally() == 1
    finally:
        again.close()


def test_a_second_up_in_the_same_folder_says_that_one_is_running(shared: Up) -> None:
    code, output = shared.run("up")
    assert code == 1
    assert output == f"tallyho is already running in {shared.data} (process {shared.process.pid}): make down stops it\n"


def test_a_second_copy_runs_beside_the_first(shared: Up, tmp_path: Path) -> None:
    """Though nobody has given it a port for its worker."""
    before = shared.tally()
    second = Up(copy_of_the_project(tmp_path / "second"), WORKER_PORT="")
    try:
        second.until_ready()
        assert second.vote("a") == httpx.codes.ACCEPTED
        eventually(lambda: second.tally() == 1, within=10)
        assert shared.tally() == before
    finally:
        second.close()


def test_down_ends_it_and_says_so_and_without_it_says_that_nothing_runs(up: Up) -> None:
    code, output = up.run("down")
    assert code == 0
    assert output.startswith("tallyho has stopped")
    assert up.process.wait(1) == 0
    assert up.run("down") == (0, f"tallyho is not running in {up.data}\n")


def test_the_consoles_take_commands_from_standard_input(shared: Up) -> None:
    assert shared.run("psql", "-tA", stdin="select 6 * 7;\n") == (0, "42\n")
    assert shared.run("redis-cli", stdin="llen votes\n") == (0, "0\n")
    assert shared.run("redis-cli", "ping") == (0, "PONG\n")


def test_reset_empties_votes_tallies_and_queue_also_while_votes_arrive(shared: Up) -> None:
    stop = threading.Event()
    cast: list[int] = []

    def keep_voting() -> None:
        while not stop.is_set():
            cast.append(shared.vote("a"))

    voters = [threading.Thread(target=keep_voting) for _ in range(3)]
    for voter in voters:
        voter.start()
    try:
        for _ in range(5):
            eventually(lambda: shared.tally() >= 3, within=20)
            code, output = shared.run("reset")
            assert code == 0
            assert re.fullmatch(r"emptied: \d+ votes counted, \d+ waiting\n", output)
    finally:
        stop.set()
        for voter in voters:
            voter.join(20)
    assert set(cast) == {httpx.codes.ACCEPTED}
    eventually(lambda: shared.run("redis-cli", "llen", "votes")[1] == "0\n", within=20)
    assert re.match(r"emptied: \d+ votes counted, 0 waiting", shared.run("reset")[1])
    eventually(lambda: shared.tally() == 0, within=10)
    counts = "select (select count(*) from votes), (select count(*) from tallies)"
    assert shared.run("psql", "-tA", "-c", counts) == (0, "0|0\n")
    assert shared.vote("b") == httpx.codes.ACCEPTED
    eventually(lambda: shared.tally() == 1, within=10)


def test_an_edit_starts_its_service_again_and_a_mistake_in_it_can_be_mended(shared: Up) -> None:
    before = shared.facts().pids
    edited = shared.project / "vote" / "app.py"
    text = edited.read_text(encoding="utf-8")
    edited.write_text("this is no Python", encoding="utf-8")
    shared.until_line(r"vote +\| vote/app.py changed: starts again")
    shared.until_line(r"vote +\| ended with code 1; starts again in")
    edited.write_text(text + "# mended\n", encoding="utf-8")
    eventually(lambda: shared.vote("a") == httpx.codes.ACCEPTED, within=20, despite=(httpx.TransportError,))
    after = shared.facts().pids
    assert {name for name in NAMES if before[name] != after[name]} == {"vote"}


def test_an_edit_of_what_all_use_starts_all_services_again(shared: Up) -> None:
    before = shared.facts().pids
    edited = shared.project / "common" / "settings.py"
    edited.write_text(edited.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")

    def changed() -> bool:
        after = shared.facts().pids
        return {name for name in NAMES if before[name] != after[name]} == {"vote", "worker", "result"}

    eventually(changed, within=20)


@pytest.mark.parametrize("folder", ["a folder, with spaces & 'quotes'", "deep/" * 30])
def test_the_folder_may_have_any_name_and_be_deep(tmp_path: Path, folder: str) -> None:
    up = Up(copy_of_the_project(tmp_path / folder))
    try:
        up.until_ready()
        assert up.vote("a") == httpx.codes.ACCEPTED
        eventually(lambda: up.tally() == 1, within=10)
        assert up.run("psql", "-tA", stdin="select count(*) from votes") == (0, "1\n")
        assert up.run("redis-cli", "ping") == (0, "PONG\n")
    finally:
        up.close()


def test_a_taken_port_is_told_in_one_line_before_anything_starts(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = Up(project, VOTE_PORT=str(port))
        try:
            assert up.process.wait(20) == 1
        finally:
            up.close()
    assert len(up.lines) == 1
    assert f"port {port} is taken: set VOTE_PORT to another one, e.g. make up VOTE_PORT=" in up.lines[0]
    assert not (up.data / "postgres").exists()


def test_settings_that_make_no_sense_are_told_without_a_traceback(project: Path) -> None:
    up = Up(project, VOTE_PORT="many")
    try:
        assert up.process.wait(20) == 1
    finally:
        up.close()
    assert "VOTE_PORT" in "".join(up.lines)
    assert "Traceback" not in "".join(up.lines)


def test_an_initialisation_that_was_cut_off_is_done_again(project: Path) -> None:
    half = project / ".data" / "postgres.new-cutoff"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("15\n")
    up = Up(project)
    try:
        up.until_ready()
    finally:
        up.close()
    assert not half.exists()


def test_a_process_number_that_another_process_has_by_now_does_not_stop_the_database(up: Up) -> None:
    """After a crash in a container, postmaster.pid names a number that is soon given to another process."""
    up.end(signal.SIGTERM)
    (up.data / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{up.data / 'postgres'}\n")
    again = Up(up.project)
    try:
        again.until_ready()
    finally:
        again.close()


def test_a_log_that_nobody_reads_any_more_ends_everything(project: Path) -> None:
    """`make up | head`."""
    up = Up(project)
    try:
        up.facts()
        family = up.family()
        up.go_away()
        assert up.process.wait(READY_SECONDS) == 0
        assert not family & alive()
    finally:
        up.close()


def copy_of_the_project(folder: Path) -> Path:
    for part in PARTS:
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def processes() -> dict[int, int]:
    """The parent of every process that lives; one that has ended but was not yet asked for its code doesn't."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    return {int(process): int(parent) for process, parent, state in rows if not state.startswith("Z")}


def alive() -> set[int]:
    return set(processes())


def descendants(ancestor: int) -> set[int]:
    parents = processes()
    found = {ancestor}
    while more := {process for process, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {ancestor}

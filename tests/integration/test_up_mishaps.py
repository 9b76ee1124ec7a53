"""`make up` when things go wrong: killed supervisors, odd folders, taken ports, cut-off starts."""

import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.integration.copies import READY_SECONDS, STOP_SECONDS, Up, alive, copy_of_the_project, processes
from tests.waiting import eventually

pytestmark = [pytest.mark.platform, pytest.mark.timeout(120)]


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
    """Two Redis on one append-only file would spoil it. It takes a kill -9 of the supervisor and of its reaper."""
    assert up.vote("a") == httpx.codes.ACCEPTED
    eventually(lambda: up.tally() == 1, within=30)
    pids = up.facts().pids
    parents = processes()
    reaper = next(pid for pid in up.family() if parents[pid] == up.process.pid and pid not in pids.values())
    os.kill(reaper, signal.SIGKILL)
    up.end(signal.SIGKILL)
    for name in ("vote", "worker", "result"):
        os.kill(pids[name], signal.SIGKILL)
    assert {pids["postgres"], pids["redis"]} <= alive()
    again = Up(up.project)
    try:
        again.until_line(r"redis +\| stopped a Redis that an earlier run left behind")
        again.until_line(
            rf"postgres +\| stopped a PostgreSQL that an earlier run left behind \(process {pids['postgres']}\)"
        )
        again.until_ready()
        assert not {pids["postgres"], pids["redis"]} & alive()
        assert again.tally() == 1
    finally:
        again.close()


@pytest.mark.parametrize("folder", ["a folder, with spaces & 'quotes'", "deep/" * 30])
def test_the_folder_may_have_any_name_and_be_deep(tmp_path: Path, folder: str) -> None:
    up = Up(copy_of_the_project(tmp_path / folder))
    try:
        up.until_ready()
        assert up.vote("a") == httpx.codes.ACCEPTED
        eventually(lambda: up.tally() == 1, within=30)
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


def test_ports_matter_only_to_the_parts_that_use_them(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        up = Up(project, "redis", VOTE_PORT=port, RESULT_PORT=port, WORKER_PORT=port)
        try:
            up.until_ready()
            second = Up(project, "worker", WORKER_PORT=port)
            assert second.process.wait(20) == 1
            second.close()
        finally:
            up.close()
    assert second.lines[0].startswith(f"port {port} is taken: set WORKER_PORT")


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

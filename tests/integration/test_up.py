"""`make up` as a person meets it, in a copy of the project, with real servers and services."""

import os
import re
import signal
import threading
from pathlib import Path

import httpx
import pytest

from local import running
from tests.integration.copies import NAMES, STOP_SECONDS, Up, alive, copy_of_the_project
from tests.waiting import BUSY_SECONDS, eventually

pytestmark = [pytest.mark.platform, pytest.mark.timeout(120)]


def test_up_says_where_to_vote_and_to_watch_and_both_answer(shared: Up) -> None:
    text = "".join(shared.lines)
    assert f"vote at   http://localhost:{shared.ports['VOTE_PORT']}" in text
    assert f"watch at  http://localhost:{shared.ports['RESULT_PORT']}" in text
    assert f"look into http://localhost:{shared.ports['RESULT_PORT']}/pipeline" in text
    before = shared.tally()
    assert shared.vote("a") == httpx.codes.ACCEPTED
    eventually(lambda: shared.tally() == before + 1, within=30)


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
        eventually(lambda: again.tally() == 1, within=30)
    finally:
        again.close()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_what_is_killed_is_started_again_with_a_line_that_says_so(shared: Up, name: str) -> None:
    killed = shared.facts().pids[name]
    seen = len(shared.lines)
    os.kill(killed, signal.SIGKILL)
    shared.until_line(rf"{name} +\| killed by SIGKILL; restarting in \d\.\d s", after=seen)
    eventually(lambda: shared.facts().pids[name] != killed, within=30)
    eventually(lambda: shared.vote("a") == httpx.codes.ACCEPTED, within=20, despite=(httpx.TransportError,))
    assert eventually(shared.tally, within=20, despite=(httpx.TransportError, KeyError))


def test_a_second_up_in_the_same_folder_says_that_one_is_running(shared: Up) -> None:
    code, output = shared.run("up")
    assert code == 1
    assert output == f"tallyho is already running in {shared.data} (process {shared.process.pid}): make down stops it\n"


def test_a_second_copy_runs_beside_the_first(shared: Up, tmp_path: Path) -> None:
    """Though nobody has given it a port for its worker."""
    eventually(lambda: shared.run("redis-cli", "llen", "votes") == (0, "0\n"), within=20)
    count = ("psql", "-Atc", "SELECT count(*) FROM votes")
    before = shared.run(*count)
    second = Up(copy_of_the_project(tmp_path / "second"), WORKER_PORT="")
    try:
        second.until_ready()
        assert second.vote("a") == httpx.codes.ACCEPTED
        eventually(lambda: second.tally() == 1, within=30)
        assert shared.run(*count) == before
    finally:
        second.close()


def test_down_ends_it_and_says_so_and_without_it_says_that_nothing_runs(up: Up) -> None:
    code, output = up.run("down")
    assert code == 0
    assert output.startswith("tallyho has stopped")
    assert up.process.wait(STOP_SECONDS) == 0
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
    eventually(lambda: shared.tally() == 0, within=30)
    counts = "select (select count(*) from votes), (select count(*) from tallies)"
    assert shared.run("psql", "-tA", "-c", counts) == (0, "0|0\n")
    assert shared.vote("b") == httpx.codes.ACCEPTED
    eventually(lambda: shared.tally() == 1, within=30)


def test_a_broken_edit_leaves_its_service_running_and_the_mended_one_replaces_it(shared: Up) -> None:
    """More of it, under load, is in test_overlap.py."""
    before = shared.facts().pids
    edited = shared.project / "vote" / "app.py"
    text = edited.read_text(encoding="utf-8")
    edited.write_text("this is no Python", encoding="utf-8")
    shared.until_line(r"vote +\| broken edit: vote/app.py:1: SyntaxError: .*; the version before it serves")
    assert shared.facts().pids == before
    assert shared.vote("a") == httpx.codes.ACCEPTED
    edited.write_text(text + "# mended\n", encoding="utf-8")
    eventually(lambda: shared.facts().pids["vote"] != before["vote"], within=30)
    assert shared.vote("a") == httpx.codes.ACCEPTED
    after = shared.facts().pids
    assert {name for name in NAMES if before[name] != after[name]} == {"vote"}


@pytest.mark.parametrize(
    ("page", "template"), [("vote", "vote/templates/ballot.html"), ("result", "result/templates/dashboard.html")]
)
def test_an_edit_of_a_template_shows_at_once_and_restarts_nothing(shared: Up, page: str, template: str) -> None:
    before = shared.facts().pids
    url, edited = shared.facts().urls[page], shared.project / template
    text = edited.read_text(encoding="utf-8")
    with httpx.Client(base_url=url, timeout=20) as reader:
        assert "the page that was edited" not in reader.get("/").text
        edited.write_text(text.replace("<h1 ", "<h1 title='the page that was edited' ", 1), encoding="utf-8")
        eventually(lambda: "the page that was edited" in reader.get("/").text, within=1 + BUSY_SECONDS)
        edited.write_text(text, encoding="utf-8")
        eventually(lambda: "the page that was edited" not in reader.get("/").text, within=1 + BUSY_SECONDS)
    assert shared.facts().pids == before


def test_an_edit_of_what_all_use_restarts_all_services(shared: Up) -> None:
    before = shared.facts().pids
    edited = shared.project / "common" / "settings.py"
    edited.write_text(edited.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")

    def changed() -> bool:
        after = shared.facts().pids
        return {name for name in NAMES if before[name] != after[name]} == {"vote", "worker", "result"}

    eventually(changed, within=20)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_restart_returns_when_another_process_runs(shared: Up, name: str) -> None:
    before = shared.facts().pids
    seen = len(shared.lines)
    code, output = shared.run("restart", name)
    after = shared.facts().pids
    assert (code, output.splitlines()[1:]) == (0, [])
    assert output.startswith(f"{name} restarted (")
    assert output.endswith(f": process {after[name]} replaces process {before[name]}\n")
    assert {part for part in NAMES if before[part] != after[part]} == {name}
    eventually(lambda: before[name] not in alive(), within=STOP_SECONDS)
    shared.until_line(rf"{name} +\| make restart: restarting", after=seen)
    assert shared.vote("a") == httpx.codes.ACCEPTED


def test_restart_without_a_part_says_which_there_are(shared: Up) -> None:
    parts = "the parts are postgres, redis, vote, worker and result"
    assert shared.run("restart") == (1, f"name one part, e.g. make restart PART=redis: {parts}\n")
    assert shared.run("restart", "cache") == (1, f"there is no part 'cache': {parts}\n")


def test_a_part_is_not_stopped_together_with_parts_that_were_not_named(shared: Up) -> None:
    before = shared.facts().pids
    code, output = shared.run("down", "worker")
    others = "postgres, redis, vote and result"
    assert code == 1
    assert output == f"worker runs together with {others} (process {shared.process.pid}): make down stops them all\n"
    assert shared.facts().pids == before


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_probe_of_a_server_succeeds_as_long_as_the_server_answers(shared: Up, name: str) -> None:
    eventually(lambda: shared.run(name, module="local.probe") == (0, ""), within=20)
    process = shared.facts().pids[name]
    os.kill(process, signal.SIGSTOP)
    try:
        silent = shared.run(name, module="local.probe")
    finally:
        os.kill(process, signal.SIGCONT)
    assert silent == (1, f"{name} does not answer in {shared.data}\n")
    eventually(lambda: shared.run(name, module="local.probe") == (0, ""), within=20)


def test_a_probe_of_what_is_no_server_says_what_to_name(shared: Up) -> None:
    code, output = shared.run("vote", module="local.probe")
    assert (code, output) == (2, "name a server: python -m local.probe postgres (or redis)\n")


@pytest.mark.parametrize("module", ["local.probe", "local.seed"])
def test_what_must_be_small_or_quick_imports_no_settings(shared: Up, module: str) -> None:
    """A probe runs every second; the seed runs where there is httpx and nothing else."""
    program = f"import {module}, sys; print(sorted({{name.partition('.')[0] for name in sys.modules}}))"
    code, output = shared.run_python("-c", program)
    assert code == 0
    assert not {"pydantic", "common", "quart"} & set(output.split("'"))
    if module == "local.seed":
        assert "'dotenv'" not in output

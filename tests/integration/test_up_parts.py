"""`make up` in several runs, each with some of the parts, which join in one data folder into one system."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local import running
from tests.integration.copies import NAMES, STOP_SECONDS, Up, alive, copy_of_the_project
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(120)

# Each before the one it needs.
ORDER = ("result", "vote", "worker", "redis", "postgres")


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Up]]:
    """A run for each part; the tests leave them as they found them, but for the votes."""
    project = copy_of_the_project(tmp_path_factory.mktemp("joined") / "project")
    ports = {name: str(free_port()) for name in ("VOTE_PORT", "RESULT_PORT", "WORKER_PORT")}
    ups: dict[str, Up] = {}
    try:
        for part in ORDER:
            ups[part] = Up(project, part, **ports)
        for up in ups.values():
            up.until_ready()
        yield ups
    finally:
        for up in ups.values():  # those that are there now: a test may have put another one in its place
            up.close()


def all_pids(data: Path) -> dict[str, int]:
    """When all parts run."""

    def complete() -> dict[str, int]:
        facts = running.read(data)
        return facts.pids if facts and set(facts.pids) == NAMES else {}

    return eventually(complete, within=20, saying="all parts run")


def test_runs_of_one_part_each_started_in_the_wrong_order_are_one_system(joined: dict[str, Up]) -> None:
    vote = joined["vote"]
    before = vote.tally()
    assert vote.vote("a") == httpx.codes.ACCEPTED
    eventually(lambda: vote.tally() == before + 1, within=30)
    assert vote.run("psql", "-Atc", "select count(*) from votes") == (0, f"{before + 1}\n")
    assert vote.run("redis-cli", "ping") == (0, "PONG\n")
    assert set(all_pids(vote.data)) == NAMES


def test_a_run_tells_only_what_it_runs(joined: dict[str, Up]) -> None:
    told = {part: "".join(up.lines) for part, up in joined.items()}
    assert "  vote is ready (" in told["vote"]
    assert "vote at  " in told["vote"]
    assert "watch at " not in told["vote"]
    assert "stop with Ctrl-C or make down PARTS=redis\n" in told["redis"]
    assert "http" not in told["redis"]


def test_seed_casts_two_thirds_a_and_one_third_b_and_reset_empties_them(joined: dict[str, Up]) -> None:
    vote = joined["vote"]
    assert vote.run("reset")[0] == 0
    vote.environ["VOTES"] = "50"
    code, output = vote.run("seed")
    assert code == 0
    assert output.startswith("50 of 50\n50 votes accepted, 0 refused")
    tallies = ("psql", "-Atc", "select vote, votes from tallies order by vote")
    eventually(lambda: vote.run(*tallies) == (0, "a|34\nb|16\n"), within=30)


@pytest.mark.parametrize("part", ORDER)
def test_the_same_part_twice_is_told_in_one_line(joined: dict[str, Up], part: str) -> None:
    up = joined[part]
    code, output = up.run("up", part)
    assert code == 1
    assert output == (
        f"{part} is already running in {up.data} (process {up.process.pid}): make down PARTS={part} stops it\n"
    )


def test_a_whole_system_beside_its_parts_is_told_how_to_stop_them_all(joined: dict[str, Up]) -> None:
    up = joined["vote"]
    code, output = up.run("up")
    assert code == 1
    numbers = [joined[part].process.pid for part in ("postgres", "redis", "vote", "worker", "result")]
    listed = f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
    assert output == f"tallyho is already running in {up.data} (processes {listed}): make down stops it\n"


def test_an_edit_restarts_only_its_own_service_and_the_other_runs_go_on(joined: dict[str, Up]) -> None:
    vote = joined["vote"]
    before = all_pids(vote.data)
    edited = vote.project / "vote" / "app.py"
    edited.write_text(edited.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")
    vote.until_line(r"vote +\| vote/app.py changed: restarting")
    eventually(lambda: all_pids(vote.data)["vote"] != before["vote"], within=30)
    after = all_pids(vote.data)
    assert {name for name in NAMES if before[name] != after[name]} == {"vote"}
    assert {part for part, up in joined.items() if up.process.poll() is None} == NAMES


def test_the_facts_of_a_run_that_was_killed_are_gone_and_its_part_can_be_started_again(joined: dict[str, Up]) -> None:
    worker = joined["worker"]
    family = worker.family()
    worker.end(signal.SIGKILL)
    worker.close()
    facts = running.read(worker.data)
    assert facts is not None
    assert set(facts.pids) == set(facts.urls) == NAMES - {"worker"}
    eventually(lambda: not family & alive(), within=STOP_SECONDS)
    again = Up(worker.project, "worker", **{name: worker.environ[name] for name in worker.ports})
    joined["worker"] = again
    again.until_ready()
    assert all_pids(worker.data)["worker"] not in family


def test_a_part_that_has_ended_has_no_process_in_the_facts_until_it_runs_again(joined: dict[str, Up]) -> None:
    vote = joined["vote"]
    mistaken = vote.project / "vote" / "__main__.py"
    text = mistaken.read_text(encoding="utf-8")
    mistaken.write_text("raise SystemExit(3)", encoding="utf-8")
    vote.until_line("broken edit: exited with code 3")
    os.kill(all_pids(vote.data)["vote"], signal.SIGKILL)

    def pids() -> set[str]:
        facts = running.read(vote.data)
        return set(facts.pids) if facts else set()

    eventually(lambda: pids() == NAMES - {"vote"}, within=20)
    # Between two tries vote runs for a moment: the back-off grows until a command fits in.
    refused = (1, "vote has crashed and is being restarted: the log of make up says why\n")
    eventually(lambda: vote.run("restart", "vote") == refused, within=60)
    mistaken.write_text(text, encoding="utf-8")
    eventually(lambda: vote.vote("a") == httpx.codes.ACCEPTED, within=20, despite=(httpx.TransportError,))
    assert pids() == NAMES


def test_down_stops_the_named_part_and_then_all_the_others(project: Path) -> None:
    ups = {part: Up(project, part) for part in ("worker", "postgres", "redis")}
    try:
        for up in ups.values():
            up.until_ready()
        worker, redis = ups["worker"], ups["redis"]
        code, output = redis.run("down", "worker")
        assert code == 0
        assert output.startswith("worker has stopped (")
        assert worker.process.wait(STOP_SECONDS) == 0
        assert redis.run("down", "worker") == (0, f"worker is not running in {redis.data}\n")
        assert redis.run("redis-cli", "ping") == (0, "PONG\n")
        assert redis.run("down")[1].startswith("postgres and redis have stopped (")
        assert [ups[part].process.wait(STOP_SECONDS) for part in ("postgres", "redis")] == [0, 0]
        assert running.read(redis.data) is None
        assert not list((redis.data / "run").glob("*.json"))
    finally:
        for up in ups.values():
            up.close()


def test_what_is_missing_in_a_joined_system_is_named_with_what_starts_it(project: Path) -> None:
    up = Up(project, "redis")
    try:
        up.until_ready()
        where = f"is not running in {up.data}: make up PARTS"
        assert up.run("seed") == (1, f"vote {where}=vote starts it\n")
        assert up.run("psql") == (1, f"postgres {where}=postgres starts it\n")
        assert up.run("restart", "worker") == (1, f"worker {where}=worker starts it\n")
        assert up.run("up", "cache") == (
            1,
            "there is no part 'cache': the parts are postgres, redis, vote, worker and result\n",
        )
        os.kill(up.facts().pids["redis"], signal.SIGKILL)
        up.until_line(r"redis +\| killed by SIGKILL; restarting")
    finally:
        up.close()


def test_a_server_that_is_elsewhere_is_known_to_the_other_commands_and_not_run(project: Path) -> None:
    up = Up(project, "vote", REDIS_URL="redis://localhost:1")
    try:
        facts = up.facts()
        assert facts.redis_url == "redis://localhost:1"
        assert set(facts.pids) == {"vote"}
        code, output = up.run("up", "redis")
        assert (code, output) == (1, "REDIS_URL or REDIS_HOST names a redis already: unset it to run one here\n")
    finally:
        up.close()

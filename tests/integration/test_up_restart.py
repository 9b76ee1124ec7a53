"""`make restart`, `make down` of a part among others, and the probes of the servers, beside a `make up`."""

import os
import signal

import httpx
import pytest

from tests.integration.copies import NAMES, Up, alive
from tests.waiting import eventually

pytestmark = [pytest.mark.platform, pytest.mark.timeout(120)]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_restart_ends_a_part_in_good_order_and_returns_when_another_process_runs(shared: Up, name: str) -> None:
    before = shared.facts().pids
    seen = len(shared.lines)
    code, output = shared.run("restart", name)
    after = shared.facts().pids
    assert (code, output.splitlines()[1:]) == (0, [])
    assert output.startswith(f"{name} runs again (")
    assert output.endswith(f": process {before[name]} has ended, {after[name]} is in its place\n")
    assert {part for part in NAMES if before[part] != after[part]} == {name}
    assert before[name] not in alive()
    shared.until_line(rf"{name} +\| ended with code 0; starts again", after=seen)
    eventually(lambda: shared.vote("a") == httpx.codes.ACCEPTED, within=20, despite=(httpx.TransportError,))


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
    eventually(lambda: shared.run(name, module="local.answers") == (0, ""), within=20)
    process = shared.facts().pids[name]
    os.kill(process, signal.SIGSTOP)
    try:
        silent = shared.run(name, module="local.answers")
    finally:
        os.kill(process, signal.SIGCONT)
    assert silent == (1, f"{name} does not answer in {shared.data}\n")
    eventually(lambda: shared.run(name, module="local.answers") == (0, ""), within=20)


def test_a_probe_of_what_is_no_server_says_what_to_name(shared: Up) -> None:
    code, output = shared.run("vote", module="local.answers")
    assert (code, output) == (2, "name a server: python -m local.answers postgres (or redis)\n")


@pytest.mark.parametrize("module", ["local.answers", "local.seed"])
def test_what_must_be_small_or_quick_imports_no_settings(shared: Up, module: str) -> None:
    """A probe runs every second; the seed runs where there is httpx and nothing else."""
    program = f"import {module}, sys; print(sorted({{name.partition('.')[0] for name in sys.modules}}))"
    code, output = shared.run_python("-c", program)
    assert code == 0
    assert not {"pydantic", "common", "quart"} & set(output.split("'"))
    if module == "local.seed":
        assert "'dotenv'" not in output

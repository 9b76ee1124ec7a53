"""An edit or a restart replaces a service without a gap, and a broken edit replaces nothing.

The service is a small one of our own, in the place of vote: what is tried is who runs it.
"""

import os
import re
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from common.broken_edits import FOLDER, PATTERN
from tests.integration.copies import STOP_SECONDS, Up, alive
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(120)

SERVICE = """
import asyncio, os, signal, socket

ANSWER = b"one"
open_connections = set()


async def answer(reader, writer):
    open_connections.add(writer)
    await reader.readuntil(b"\\r\\n\\r\\n")
    body = ANSWER + b" %d" % os.getpid()
    writer.write(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    await writer.drain()
    writer.close()
    open_connections.discard(writer)


async def main():
    assert os.environ["LISTEN_PID"] == str(os.getpid()), os.environ["LISTEN_PID"]
    assert (os.environ["LISTEN_FDS"], os.environ["LISTEN_FDNAMES"]) == ("1", "http")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(answer, sock=socket.socket(fileno=3))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1))
        supervisor.send(b"STATUS=ready\\nREADY=1")
    await stop.wait()
    server.close()
    for _ in range(10):  # what was accepted just before has its turn, also on a busy machine
        await asyncio.sleep(0.01)
    while open_connections:
        await asyncio.sleep(0.01)


asyncio.run(main())
"""


class InContainer(Up):
    """What runs a service in a container for work."""

    command = ("local.runner",)


@pytest.fixture(params=["make up", "in a container"])
def running(request: pytest.FixtureRequest, project: Path) -> Iterator[Up]:
    """The service, run by the supervisor of `make up`, or as in a container."""
    (project / "vote" / "__main__.py").write_text(SERVICE)
    run = Up if request.param == "make up" else InContainer
    up = run(project, "vote", REDIS_URL="redis://localhost:1")
    try:
        eventually(lambda: ask(up)[0], within=30, despite=(httpx.TransportError,))
        yield up
    finally:
        up.close()


def ask(up: Up) -> tuple[str, int]:
    """What the service answers, and which process of it."""
    text = httpx.get(f"http://127.0.0.1:{up.ports['VOTE_PORT']}/", timeout=30).text
    answer, pid = text.split()
    return answer, int(pid)


@contextmanager
def load(up: Up) -> Iterator[Counter[str]]:
    """Five clients who ask again and again, each time on a new connection; gives their answers and their failures."""
    seen: Counter[str] = Counter()
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            try:
                seen[ask(up)[0]] += 1
            except (httpx.HTTPError, ValueError) as error:
                seen[f"failed: {error!r}"] += 1

    clients = [threading.Thread(target=keep_asking) for _ in range(5)]
    for client in clients:
        client.start()
    try:
        yield seen
    finally:
        stop.set()
        for client in clients:
            client.join(30)


def check_that_nothing_is_left(up: Up, family: set[int]) -> None:
    eventually(lambda: not family & alive(), within=STOP_SECONDS)
    with socket.create_server(("127.0.0.1", up.ports["VOTE_PORT"])):
        pass


def edit(up: Up, text: str) -> None:
    (up.project / "vote" / "__main__.py").write_text(text)


def test_edits_under_load_fail_no_request(running: Up) -> None:
    with load(running) as seen:
        eventually(lambda: seen["one"] > 10, within=30)
        for number in range(5):
            edit(running, SERVICE.replace("one", f"edit{number}"))
            eventually(lambda: seen[f"edit{number}"] > 10, within=30)  # noqa: B023
    assert set(seen) == {"one", *(f"edit{number}" for number in range(5))}


def test_while_a_new_process_starts_the_old_one_answers(running: Up) -> None:
    """However long that takes: this one waits for a file."""
    slow = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)\n"
    before = running.family()
    with load(running) as seen:
        edit(running, slow + SERVICE.replace("one", "two"))
        eventually(lambda: running.family() - before, within=30, saying="the new process starts")
        answered = seen["one"]
        eventually(lambda: seen["one"] > answered + 20, within=30)
        assert not seen["two"]
        (running.project / "go").touch()
        eventually(lambda: seen["two"] > 10, within=30)
    assert set(seen) == {"one", "two"}


def test_a_broken_edit_leaves_the_old_process_serving_and_the_next_good_one_heals_it(running: Up) -> None:
    before = ask(running)
    broken = running.data / FOLDER / "vote.broken"
    with load(running) as seen:
        lines_of_it = len(SERVICE.splitlines())
        for text, problem in (
            (SERVICE + "def broken(:", f"vote/__main__.py:{lines_of_it + 1}: SyntaxError: invalid syntax"),
            (SERVICE.replace("asyncio.run(", "asyncio.gone("), f"vote/__main__.py:{lines_of_it}: AttributeError: "),
            ("raise SystemExit('vote: VOTE_PORT is wrong')", "vote: VOTE_PORT is wrong"),
        ):
            lines = len(running.lines)
            edit(running, text)
            running.until_line(rf"broken edit: {re.escape(problem)}.*; the version before it serves", after=lines)
            eventually(lambda: broken.exists() and broken.read_text().startswith(problem), within=20)  # noqa: B023
            assert ask(running) == before
            assert len([line for line in running.lines[lines:] if "broken edit" in line]) == 1
        edit(running, SERVICE.replace("one", "mended"))
        eventually(lambda: seen["mended"] > 0, within=30)
    assert set(seen) == {"one", "mended"}
    eventually(lambda: not list((running.data / FOLDER).glob(PATTERN)), within=20)


def test_while_a_service_that_was_killed_restarts_its_port_stays_open(running: Up) -> None:
    """Who connects meanwhile waits, and is answered by the next process."""
    pid = ask(running)[1]
    os.kill(pid, signal.SIGKILL)
    answer, new = ask(running)
    assert (answer, new != pid) == ("one", True)
    running.until_line(r"killed by SIGKILL; restarting in 0.2 s")


def test_a_mended_edit_after_a_crash_starts_at_once(running: Up) -> None:
    """The old process is not there to serve, so nothing but the edit may decide when the next one starts."""
    edit(running, "raise SystemExit(3)")
    running.until_line("broken edit: exited with code 3")
    os.kill(ask(running)[1], signal.SIGKILL)
    running.until_line(r"exited with code 3; restarting in 1.6 s")
    edit(running, SERVICE.replace("one", "mended"))
    assert ask(running)[0] == "mended"
    eventually(lambda: not list((running.data / FOLDER).glob(PATTERN)), within=20)


def test_at_the_end_the_port_is_free_and_no_process_is_left(running: Up) -> None:
    family = running.family()
    assert ask(running)[1] in family
    running.end()
    assert running.process.returncode == 0
    check_that_nothing_is_left(running, family)


@pytest.mark.parametrize("running", ["make up"], indirect=True)
def test_restarts_under_load_fail_no_request(running: Up) -> None:
    running.until_ready()
    with load(running) as seen:
        for _ in range(5):
            before = running.facts().pids["vote"]
            code, output = running.run("restart", "vote")
            after = running.facts().pids["vote"]
            assert (code, after != before) == (0, True)
            assert output.endswith(f": process {after} replaces process {before}\n")
    assert set(seen) == {"one"}


@pytest.mark.parametrize("running", ["make up"], indirect=True)
def test_a_restart_with_broken_code_says_so_and_changes_nothing(running: Up) -> None:
    running.until_ready()
    edit(running, "raise SystemExit('vote: VOTE_PORT is wrong')")
    running.until_line("broken edit")
    pid = ask(running)[1]
    told = f"vote was not restarted, process {pid} goes on: vote: VOTE_PORT is wrong\n"
    assert running.run("restart", "vote") == (1, told)
    assert ask(running)[1] == pid


@pytest.mark.parametrize("running", ["make up"], indirect=True)
def test_a_killed_supervisor_leaves_no_process_and_its_port_is_free(running: Up) -> None:
    family = running.family()
    running.end(signal.SIGKILL)
    check_that_nothing_is_left(running, family)

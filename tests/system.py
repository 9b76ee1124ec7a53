"""The whole system as a user starts it, with its own data folder and ports, for the drill and the end-to-end tests."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from local import running
from local.running import Running
from tests.ports import free_ports
from tests.waiting import eventually

PROJECT = Path(__file__).resolve().parent.parent

START_SECONDS = 90.0
STOP_SECONDS = 10.0  # what `make up` promises

# Empty counts as not set, also where the project folder's .env sets them: the servers are to be the system's own.
OWN_SERVERS = {
    f"{name}{suffix}": ""
    for name in ("REDIS_HOST", "REDIS_URL", "DATABASE_URL", "VOTE_URL", "RESULT_URL")
    for suffix in ("", "_FILE")
}


class System:
    """A `make up` that runs; its log is the file `up.log` in the data folder."""

    def __init__(self, data: Path, settings: Mapping[str, str]) -> None:
        self.data = data.resolve()
        self.data.mkdir(parents=True, exist_ok=True)
        self.log = self.data / "up.log"
        vote, result, worker = free_ports(3)
        ports = {"VOTE_PORT": str(vote), "RESULT_PORT": str(result), "WORKER_PORT": str(worker)}
        # Through a pipe of ours: should this process be killed, the supervisor finds it broken, and stops by itself.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local", "up"],
            cwd=PROJECT,
            env={**os.environ, **OWN_SERVERS, **ports, "DATA_DIR": str(self.data), **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._copying = threading.Thread(target=self._copy_log, name="log of the system")
        self._copying.start()

    def facts(self) -> Running:
        """What runs now."""
        if self.process.poll() is not None:
            raise AssertionError(f"the system ended by itself:\n{self.last_lines()}")
        facts = running.read(self.data)
        if facts is None:
            raise ConnectionError("the system has not said yet what runs")
        return facts

    def wait_until_ready(self) -> Running:
        """Wait until all three services are ready."""
        with httpx.Client(timeout=3, verify=False) as client:

            def ready() -> Running | None:
                facts = self.facts()
                addresses = (facts.vote_url, facts.worker_url, facts.result_url)
                answers = [client.get(f"{address}/readyz") for address in addresses]
                return facts if all(answer.status_code == 200 for answer in answers) else None

            facts = eventually(
                ready, within=START_SECONDS, saying="the system is ready", despite=(OSError, httpx.HTTPError)
            )
            assert facts is not None
            return facts

    def stop(self) -> float:
        """Stop it as `make down` does; returns the seconds it took, and fails if it leaves a process behind."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            raise AssertionError(f"the system did not stop in {STOP_SECONDS:g} s:\n{self.last_lines()}") from None
        finally:
            self._copying.join(5)
        seconds = time.monotonic() - began
        left = processes_of(self.data)
        assert not left, f"the system stopped and left processes behind: {left}"
        return seconds

    def last_lines(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def _kill(self) -> None:
        # its guard ends the others when it is gone
        self.process.kill()
        self.process.wait()

    def _copy_log(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output, self.log.open("wb", buffering=0) as log:
            for line in output:
                log.write(line)


@contextmanager
def running_system(data: Path, settings: Mapping[str, str]) -> Iterator[System]:
    """A system that is ready, and is stopped at the end."""
    system = System(data, settings)
    try:
        system.wait_until_ready()
        yield system
    finally:
        system.stop()


@contextmanager
def paused(process: int) -> Iterator[None]:
    """A process and its children hang for a while."""
    processes = [process, *children_of(process)]
    for each in processes:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in processes:
            os.kill(each, signal.SIGCONT)


def children_of(process: int) -> list[int]:
    """The processes that this one started (Linux only)."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def processes_of(data: Path) -> dict[int, str]:
    """The processes that work in this data folder or were started with it as their DATA_DIR (Linux only)."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            about = (command + (entry / "environ").read_bytes() + os.fsencode((entry / "cwd").readlink())).decode(
                errors="replace"
            )
        except OSError:  # it has just ended, or is not ours to look at
            continue
        if str(data) in about and command:
            found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return found

"""The whole system as a user starts it, with its own data folder and ports; for the drill, with two vote services."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import httpx

from common.ballot import KEYS
from common.settings import Settings
from local import running
from local.ports import port_problem
from local.running import Running
from proof.waiting import eventually

PROJECT = Path(__file__).resolve().parent.parent

START_SECONDS = 90.0
STOP_SECONDS = 10.0  # what `make up` promises

# Below the ports that systems give to clients by themselves.
PORTS = range(20_000, 32_000)

# Empty counts as not set, also where the project folder's .env sets them: the system is as it comes.
AS_IT_COMES = {
    f"{name.upper()}{suffix}": ""
    for name in (*Settings.model_fields, *(f"option_{key}" for key in KEYS))
    for suffix in ("", "_FILE")
}


class System:
    """A `make up` that runs, of all parts or of some; its log is a file in the data folder."""

    def __init__(self, data: Path, settings: Mapping[str, str], *, parts: Sequence[str] = ()) -> None:
        self.data = data.resolve()
        self.data.mkdir(parents=True, exist_ok=True)
        self.log = self.data / f"{'-'.join(parts) or 'up'}.log"
        # Through a pipe of ours: should this process be killed, the supervisor finds it broken, and stops by itself.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local", "up", *parts],
            cwd=PROJECT,
            env={**os.environ, **AS_IT_COMES, **free_ports(), **settings, "DATA_DIR": str(self.data)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._copying = threading.Thread(target=self._copy_log, name="log of the system")
        self._copying.start()

    def facts(self) -> Running:
        """What runs now in the data folder."""
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

    def ask_to_stop(self) -> None:
        """As `make down` does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def stop(self) -> float:
        """Stop it; returns the seconds it took, and fails if it leaves a process behind."""
        began = time.monotonic()
        self.end()
        seconds = time.monotonic() - began
        self.check_that_all_is_gone()
        return seconds

    def end(self) -> None:
        """Stop it, and wait for its end, which must come in time."""
        self.ask_to_stop()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            raise AssertionError(f"the system did not stop in {STOP_SECONDS:g} s:\n{self.last_lines()}") from None
        finally:
            self._copying.join(5)

    def check_that_all_is_gone(self) -> None:
        """Fail if a process is left that works in the data folder."""
        left = processes_of(self.data)
        assert not left, f"the system stopped and left processes behind: {left}"

    def last_lines(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def _kill(self) -> None:
        # its reaper ends the others when it is gone
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


def free_ports() -> dict[str, str]:
    """A port for each service, as settings."""
    free = (port for port in random.sample(PORTS, len(PORTS)) if port_problem("127.0.0.1", port) is None)
    return dict(zip(("VOTE_PORT", "RESULT_PORT", "WORKER_PORT"), map(str, islice(free, 3)), strict=True))


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

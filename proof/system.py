"""The whole system as a user starts it, with its own data folder and ports; for the drill, with two vote services."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import httpx

from common.ballot import KEYS
from common.settings import Settings
from local import parts, running
from local.ports import port_problem
from local.running import Running
from proof.waiting import eventually

PROJECT = Path(__file__).resolve().parent.parent

START_SECONDS = 90.0
STOP_SECONDS = 10.0  # what `make up` promises

# Below the ports that operating systems hand out to clients.
PORTS = range(20_000, 32_000)

# Empty counts as unset, even where .env in the project folder sets it: the system has its defaults.
DEFAULTS = {
    f"{name.upper()}{suffix}": ""
    for name in (*Settings.model_fields, *(f"option_{key}" for key in KEYS))
    for suffix in ("", "_FILE")
}

SECOND = "vote-2"
SERVICES = ("vote", SECOND, "worker", "result")

# How far each clock is off: at least ten minutes between any two parts. Redis keeps the machine's clock, because its
# memory allocator hangs under libfaketime, and nobody asks Redis for the time.
CLOCKS = {"postgres": "-10m", "vote": "+10m", SECOND: "-20m", "worker": "+20m", "result": "-30m"}
FAKETIME = (*Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), *Path("/usr/lib").glob("faketime/libfaketime.so.1"))

SHARED_MEMORY = Path("/dev/shm")

READY_SECONDS = 90.0
NOT_YET = (OSError, httpx.HTTPError)


class System:
    """A `make up` that runs, of all parts or of some; its log is a file in the data folder."""

    def __init__(self, data: Path, settings: Mapping[str, str], *, parts: Sequence[str] = ()) -> None:
        self.data = data.resolve()
        self.data.mkdir(parents=True, exist_ok=True)
        self.log = self.data / f"{'-'.join(parts) or 'up'}.log"
        # Through a pipe of ours: if this process is killed, the supervisor finds the pipe broken and stops by itself.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local", "up", *parts],
            cwd=PROJECT,
            env={**os.environ, **DEFAULTS, **free_ports(), **settings, "DATA_DIR": str(self.data)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._copying = threading.Thread(target=self._copy_log, name="log of the system")
        self._copying.start()

    def facts(self) -> Running:
        """What is running in the data folder."""
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
        """Stop it and return the seconds that took; fails if a process is left behind."""
        began = time.monotonic()
        self.end()
        seconds = time.monotonic() - began
        self.check_that_all_is_gone()
        return seconds

    def end(self) -> None:
        """Stop it and wait for its end, which has to come in time."""
        self.ask_to_stop()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            raise AssertionError(f"the system did not stop in {STOP_SECONDS:g} s:\n{self.last_lines()}") from None
        finally:
            self._copying.join(5)

    def check_that_all_is_gone(self) -> None:
        """Fail if a process that works in the data folder is left."""
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


class DrillSystem:
    """The system of the drill: every part with a supervisor and a clock of its own; `runs` has the supervisors."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        ports = free_ports()
        self._folder = folder.resolve()
        self._settings = settings
        self._client = httpx.Client(timeout=3)
        self.runs = {part: self._run(part, ports) for part in parts.PARTS}

    def start_second(self) -> None:
        """Start the second vote service: a system of its own on the queue of the first."""
        redis_url = eventually(lambda: self.facts().redis_url, within=READY_SECONDS, despite=NOT_YET)
        self.runs[SECOND] = self._run(SECOND, {**free_ports(), "REDIS_URL": redis_url})

    def facts(self) -> Running:
        """What is running now; the second vote service under its own name."""
        facts = {name: run.facts() for name, run in self.runs.items()}
        first, second = facts["vote"], facts.get(SECOND, Running({}, {}))
        return Running(
            urls=first.urls | ({SECOND: second.vote_url} if second.vote_url else {}),
            pids=first.pids | ({SECOND: second.pids["vote"]} if "vote" in second.pids else {}),
        )

    def pids(self) -> Mapping[str, int]:
        """The process ids of the parts."""
        return self.facts().pids

    def wait_until_ready(self) -> Running:
        """Wait until all services are ready."""

        def ready() -> bool:
            urls = [self.facts().urls.get(service, "") for service in SERVICES]
            return all(url and self._client.get(f"{url}/readyz").is_success for url in urls)

        eventually(ready, within=READY_SECONDS, saying="everything is ready", despite=NOT_YET)
        return self.facts()

    def stop(self) -> None:
        """Stop everything; fails if a process is left behind."""
        self._client.close()
        for run in self.runs.values():
            run.ask_to_stop()
        for run in self.runs.values():
            run.end()
        self.runs["vote"].check_that_all_is_gone()

    def _run(self, name: str, settings: Mapping[str, str]) -> System:
        folder, part = (self._folder / name, "vote") if name == SECOND else (self._folder, name)
        return System(folder, {**self._settings, **settings, **_clock(name)}, parts=(part,))


@contextmanager
def drill_system(folder: Path, settings: Mapping[str, str]) -> Iterator[DrillSystem]:
    """A system for the drill that is ready, and is stopped at the end."""
    remove_leftovers(SHARED_MEMORY)
    system = DrillSystem(folder, settings)
    try:
        system.start_second()
        system.wait_until_ready()
        yield system
    finally:
        system.stop()
        remove_leftovers(SHARED_MEMORY)


def remove_leftovers(folder: Path) -> None:
    """Remove what libfaketime left of processes that were killed.

    Its files are named by process id. A later process that has the same id and runs as another user, as PostgreSQL does
    where root starts it, could not start.
    """
    for path in folder.glob("*faketime_*_*"):
        pid = path.name.rpartition("_")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            with suppress(OSError):
                path.unlink()


def _clock(part: str) -> dict[str, str]:
    if part not in CLOCKS or not FAKETIME:
        return {}
    return {"LD_PRELOAD": str(FAKETIME[0]), "FAKETIME": CLOCKS[part], "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

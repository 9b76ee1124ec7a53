"""How Locust is started: our settings as Locust's own, and workers that outlive their master."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import httpx
import psutil  # type: ignore[import-untyped]

from common.preflight import tcp_socket
from loadtest import LoadTestError
from loadtest.settings import EVERY_ADDRESS, PROJECT, Target, limits, number, page_host, page_port, target
from local.ports import free_port
from proof.waiting import TooLate, eventually

FIND_THE_LIMIT = "find-the-limit"
SECONDS, SOAK_SECONDS = 120.0, 1800.0  # how long a shape takes by default
# By name, so that a wrong SHAPE is reported before Locust starts; the shapes themselves are in shapes.py.
LASTS = dict.fromkeys(("steady", "ramp", "spike", "double-wave", "steps"), f"{SECONDS / 60:g} minutes") | {
    "soak": f"{SOAK_SECONDS / 60:g} minutes",
    FIND_THE_LIMIT: "about 3 minutes, until a limit breaks",
}
MODELS = ("", "people", "open")
DEFAULT_USERS = 100
SPAWN_SECONDS = 5  # until all users are there, by default

READY_SECONDS = 30.0
NO_ANSWER = (httpx.HTTPError, httpx.InvalidURL)
NO_ANSWER_SECONDS = 3.0  # a system that is starting answers by then
POLL_SECONDS = 0.3
GOODBYE_SECONDS = 3.0  # a master that ends still listens for a moment


def run_locust(mode: str) -> int:
    """Run Locust in this process, which has imported it already."""
    check_settings()
    where = Target("", "")  # a worker's master tells it
    if mode != "worker-process":
        where = target()
        wait_until_ready(where)
        if shape := os.environ.get("SHAPE", ""):
            print(f"{shape} takes {os.environ.get('RUN_TIME') or LASTS[shape]}", flush=True)
    os.environ |= where.environment() | {name: value for name, value in locust_settings(mode, where).items() if value}
    os.chdir(PROJECT)
    sys.argv = ["locust", "--config", "loadtest/locust.conf"]
    from locust import main

    main.main()  # type: ignore[no-untyped-call]
    return 0


def locust_settings(mode: str, where: Target) -> dict[str, str]:
    """Our settings under Locust's names."""
    processes = int(number("PROCESSES", 1))
    several = {"LOCUST_PROCESSES": str(processes)} if processes > 1 else {}
    if mode == "worker-process":
        host, port = master()
        return several | {
            "LOCUST_MODE_WORKER": "true",
            "LOCUST_MASTER_NODE_HOST": host,
            "LOCUST_MASTER_NODE_PORT": str(port),
        }
    if mode == "master":
        expected = f"{number('EXPECT_WORKERS', 1):.0f}"
        several = {
            "LOCUST_MODE_MASTER": "true",
            "LOCUST_MASTER_BIND_PORT": str(master()[1]),
            "LOCUST_EXPECT_WORKERS": expected,
        }
    elif several:  # this process becomes their master, on loopback
        port_names = ("LOCUST_MASTER_NODE_PORT", "LOCUST_MASTER_BIND_PORT")
        several |= dict.fromkeys(port_names, str(free_port("127.0.0.1")))
        several |= {"LOCUST_MASTER_BIND_HOST": "127.0.0.1"}
    users, rate, run_time = size(os.environ.get("SHAPE", ""), defaults=mode == "headless")
    named = {"LOCUST_USERS": users, "LOCUST_SPAWN_RATE": rate, "LOCUST_RUN_TIME": run_time}
    return {"LOCUST_HOST": where.vote_url} | named | several | _page(mode, starts=bool(users and run_time))


def _page(mode: str, *, starts: bool) -> dict[str, str]:
    """With a page or without; a page that has been told everything starts the test by itself."""
    if mode == "headless":
        return {"LOCUST_HEADLESS": "true"}
    host, port = page_host(), page_port()
    _check_port(host, port)
    shown = "localhost" if host in ("127.0.0.1", *EVERY_ADDRESS) else host
    # In a container, only whoever published the port knows the address.
    url = os.environ.get("LOADTEST_URL") or f"http://{shown}:{port}"
    print(f"the load test's page: {url}  (Ctrl-C stops it)", flush=True)
    autostart = "true" if starts or os.environ.get("SHAPE") else ""
    return {"LOCUST_WEB_HOST": host, "LOCUST_WEB_PORT": str(port), "LOCUST_AUTOSTART": autostart}


def check_settings() -> None:
    """Raise LoadTestError for a setting that can't be meant."""
    limits()
    shape, model = os.environ.get("SHAPE", ""), os.environ.get("MODEL", "")
    if shape and shape not in LASTS:
        raise LoadTestError(f"SHAPE={shape} is not a shape; choose from {', '.join(LASTS)}")
    if model not in MODELS:
        raise LoadTestError(f"MODEL={model} is not a model; choose people or open")
    for name in ("USERS", "SPAWN_RATE", "PROCESSES", "LOADTEST_PORT", "MASTER_PORT", "EXPECT_WORKERS"):
        if number(name, 1) < 1:
            raise LoadTestError(f"{name}={os.environ[name]} is less than 1")


def size(shape: str, *, defaults: bool) -> tuple[str, str, str]:
    """The number of users, how fast they arrive, and the run time; empty for Locust's page to ask."""
    users, rate, run_time = (os.environ.get(name, "") for name in ("USERS", "SPAWN_RATE", "RUN_TIME"))
    if shape == FIND_THE_LIMIT:
        users = users or str(limits()["find_limit"]["first_users"])
    elif defaults:
        users, run_time = users or str(DEFAULT_USERS), run_time or ("" if shape else "60s")
    if users:
        rate = rate or str(max(1, int(float(users)) // SPAWN_SECONDS))
    return users, rate, run_time


def master() -> tuple[str, int]:
    """Where workers find their master."""
    return os.environ.get("MASTER") or "127.0.0.1", int(number("MASTER_PORT", 5557))


def wait_until_ready(where: Target) -> None:
    """Return once vote and result are ready; raises LoadTestError."""
    with httpx.Client(timeout=3, verify=False) as client:
        for url in (where.vote_url, where.result_url):
            answers = partial(client.get, f"{url}/readyz")
            try:
                if not eventually(answers, within=NO_ANSWER_SECONDS, despite=NO_ANSWER).is_success:
                    print(f"waiting for {url} to be ready", file=sys.stderr, flush=True)
                    eventually(partial(_is_success, answers), within=READY_SECONDS, despite=NO_ANSWER)
            except TooLate as late:
                what = f"nothing answers at {url}" if isinstance(late.found, NO_ANSWER) else f"{url} is not ready"
                raise LoadTestError(f"{what}: make up starts the system") from late


def _is_success(ask: Callable[[], httpx.Response]) -> bool:
    return ask().is_success


def _check_port(host: str, port: int) -> None:
    with tcp_socket(host) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("" if host == "*" else host, port))
        except OSError as error:
            setting = "another LOADTEST_PORT" if host == "127.0.0.1" else "another LOADTEST_HOST or LOADTEST_PORT"
            reason = error.strerror or error
            raise LoadTestError(f"can't listen on {host} port {port} ({reason}): set {setting}") from error


class _Stop:
    """Counts the signals to stop, and does nothing else: whatever is under way is finished, a start above all."""

    def __init__(self) -> None:
        self.times = 0
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signal_number, self._count)

    def _count(self, *_: object) -> None:
        self.times += 1


def work_for_masters() -> int:
    """Work for one master after another until a signal: `python -m loadtest worker`."""
    check_settings()
    stop = _Stop()
    while _wait_for_master(stop):
        code = _work(stop)
        if stop.times:
            break
        if code:
            return code
        print("the master has ended; waiting for the next one (Ctrl-C stops the worker)", flush=True)
        deadline = time.monotonic() + GOODBYE_SECONDS
        while not stop.times and not _unreachable() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    return 0


def _work(stop: _Stop) -> int:
    """Work until the master ends, in a process of its own: the next master may come with edited code."""
    worker = subprocess.Popen([sys.executable, "-m", "loadtest", "worker-process"], cwd=PROJECT)
    passed_on = 0
    while True:
        with suppress(subprocess.TimeoutExpired):
            return worker.wait(POLL_SECONDS)
        if stop.times > passed_on:
            passed_on = stop.times
            _interrupt(worker.pid)


def _interrupt(pid: int) -> None:
    """Have a worker stop its users and hand in its ledger. With PROCESSES, its children do the work."""
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGINT)


def _wait_for_master(stop: _Stop) -> bool:
    """Wait for a master; returns False if a signal came first."""
    host, port = master()
    told = False
    while not stop.times and (reason := _unreachable()):
        if not told:
            told = True
            print(f"waiting for the master at {host}:{port} ({reason})", flush=True)
        time.sleep(POLL_SECONDS)
    if not stop.times:
        print(f"working for the master at {host}:{port}", flush=True)
    return not stop.times


def _unreachable() -> str:
    """Why the master can't be reached; empty if it can."""
    try:
        socket.create_connection(master(), timeout=2).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""

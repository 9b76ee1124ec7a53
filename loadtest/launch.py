"""How Locust is started: its arguments, made from the settings."""

import os
import signal
import socket
import sys
from typing import NoReturn

from loadtest.errors import LoadTestError
from loadtest.ready import wait_until_ready
from loadtest.serve import SIGNALS
from loadtest.settings import EVERY_ADDRESS, PROJECT, limits, number, page_host, page_port, target

FIND_THE_LIMIT = "find-the-limit"
SECONDS, SOAK_SECONDS = 120.0, 1800.0  # of a shape, if nobody says how long
# By name, so that a wrong one is told before Locust starts; the shapes themselves are in shapes.py.
LASTS = dict.fromkeys(("steady", "ramp", "spike", "double-wave", "steps"), f"{SECONDS / 60:g} minutes") | {
    "soak": f"{SOAK_SECONDS / 60:g} minutes",
    FIND_THE_LIMIT: "about 3 minutes, until a limit breaks",
}
MODELS = ("", "people", "open")
DEFAULT_USERS = 100
USERS_PER_SPAWN_RATE = 5  # all are there after so many seconds
# After the last vote was sent: time for its answer, so that it is not left in doubt.
STOP_SECONDS = "20"


def start_locust(mode: str) -> NoReturn:
    """Become Locust."""
    check_settings()
    where = target()
    wait_until_ready(where)
    environment = dict(os.environ) | where.environment()
    if shape := environment.get("SHAPE", ""):
        print(f"{shape} takes {environment.get('RUN_TIME') or LASTS[shape]}", flush=True)
    arguments = [*locust_command(), *_arguments(mode, environment)]
    os.chdir(PROJECT)
    sys.stdout.flush()
    # Python only notes a signal, and what is noted is lost when another program takes the process: serve.py lets it in
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    os.execve(sys.executable, arguments, environment)


def locust_command() -> list[str]:
    """Locust with our file, whose folder is not to be where Python looks for modules."""
    return [sys.executable, "-m", "loadtest.serve", "-f", "loadtest/locustfile.py", "--loglevel", "WARNING"]


def worker_arguments() -> list[str]:
    """What makes Locust a worker."""
    host, port = master()
    return ["--worker", "--master-host", host, "--master-port", str(port), *_processes(int(number("PROCESSES", 1)))]


def master() -> tuple[str, int]:
    """Where workers find their master."""
    return os.environ.get("MASTER") or "127.0.0.1", int(number("MASTER_PORT", 5557))


def check_settings() -> None:
    """Raise LoadTestError for what can't be meant."""
    limits()
    shape, model = os.environ.get("SHAPE", ""), os.environ.get("MODEL", "")
    if shape and shape not in LASTS:
        raise LoadTestError(f"SHAPE={shape} is no shape: take one of {', '.join(LASTS)}")
    if model not in MODELS:
        raise LoadTestError(f"MODEL={model} is no model: take people or open")
    for name in ("USERS", "SPAWN_RATE", "PROCESSES", "LOADTEST_PORT", "MASTER_PORT", "EXPECT_WORKERS"):
        if number(name, 1) < 1:
            raise LoadTestError(f"{name}={os.environ[name]} is less than 1")


def size(shape: str, *, defaults: bool) -> tuple[str, str, str]:
    """How many users, how fast they come, and for how long; empty is for Locust's page to ask."""
    users, rate, run_time = (os.environ.get(name, "") for name in ("USERS", "SPAWN_RATE", "RUN_TIME"))
    if shape == FIND_THE_LIMIT:
        users = users or str(limits()["find_limit"]["first_users"])
    elif defaults:
        users, run_time = users or str(DEFAULT_USERS), run_time or ("" if shape else "60s")
    if users:
        rate = rate or str(max(1, int(float(users)) // USERS_PER_SPAWN_RATE))
    return users, rate, run_time


def _arguments(mode: str, environment: dict[str, str]) -> list[str]:
    shape, processes = environment.get("SHAPE", ""), int(number("PROCESSES", 1))
    arguments = ["--host", environment["VOTE_URL"], "--stop-timeout", STOP_SECONDS, *_size(mode, shape)]
    if mode == "master":
        workers = f"{number('EXPECT_WORKERS', 1):.0f}"
        arguments += ["--master", "--master-bind-port", str(master()[1]), "--expect-workers", workers]
    elif processes > 1:
        port = _free_port()
        own = ["--master-port", port, "--master-bind-port", port, "--master-bind-host", "127.0.0.1"]
        arguments += [*own, *_processes(processes)]
    if mode == "headless":
        return [*arguments, "--headless", "--only-summary"]
    host, page = page_host(), page_port()
    _check_port(host, page)
    shown = "localhost" if host in ("127.0.0.1", *EVERY_ADDRESS) else host
    # in a container, only who published the port knows the address
    url = environment.get("LOADTEST_URL") or f"http://{shown}:{page}"
    print(f"the load test's page: {url}  (stop with Ctrl-C)")
    return [*arguments, "--web-host", host, "--web-port", str(page), "--class-picker"]


def _size(mode: str, shape: str) -> list[str]:
    users, rate, run_time = size(shape, defaults=mode == "headless")
    named = {"--users": users, "--spawn-rate": rate, "--run-time": run_time}
    arguments = [part for name, value in named.items() if value for part in (name, value)]
    starts = mode != "headless" and (shape or (users and run_time))
    return [*arguments, "--autostart"] if starts else arguments


def _processes(count: int) -> list[str]:
    return ["--processes", str(count)] if count > 1 else []


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("" if host == "*" else host, port))
        except OSError as error:
            reason = error.strerror or str(error)
            setting = "LOADTEST_PORT to another one" if host == "127.0.0.1" else "LOADTEST_HOST or LOADTEST_PORT"
            raise LoadTestError(f"port {port} of {host} can't be used ({reason}): set {setting}") from error


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])

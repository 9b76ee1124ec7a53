"""Starts Locust against the system: `python -m loadtest ui`, `headless`, `master` or `worker`; the rest is settings.

USERS, SPAWN_RATE, RUN_TIME, SHAPE, MODEL, PROCESSES, LOADTEST_PORT, MASTER, MASTER_PORT, EXPECT_WORKERS, VOTE_URL,
RESULT_URL and LIMITS come from the environment. `compare` sets two runs side by side, `drill` kills parts under load.
"""

import os
import socket
import sys
from collections.abc import Sequence
from typing import NoReturn

from loadtest.compare import compare
from loadtest.drill import drill
from loadtest.ready import wait_until_ready
from loadtest.settings import PROJECT, LoadTestError, limits, number, target

FIND_THE_LIMIT = "find-the-limit"
# By name, so that a wrong one is told before Locust starts; the shapes themselves are in shapes.py.
SHAPES = ("steady", "ramp", "spike", "double-wave", "steps", "soak", FIND_THE_LIMIT)
MODELS = ("", "people", "open")
# After the last vote was sent: time for its answer, so that it is not left in doubt.
STOP_SECONDS = "20"


def main(argv: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    try:
        match argv:
            case ["ui" | "headless" | "master" | "worker" as mode]:
                start_locust(mode)
            case ["compare", *runs]:
                return compare(runs)
            case ["drill"]:
                return drill()
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except LoadTestError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def start_locust(mode: str) -> NoReturn:
    """Become Locust."""
    limits()
    _check_settings()
    environment = dict(os.environ)
    if mode != "worker":
        where = target()
        wait_until_ready(where)
        environment |= where.environment()
    arguments = [*locust_command(), *_arguments(mode, environment)]
    os.chdir(PROJECT)
    sys.stdout.flush()
    os.execve(sys.executable, arguments, environment)


def locust_command() -> list[str]:
    """Locust with our file, whose folder is not to be where Python looks for modules."""
    return [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--loglevel", "WARNING"]


def _check_settings() -> None:
    shape, model = os.environ.get("SHAPE", ""), os.environ.get("MODEL", "")
    if shape and shape not in SHAPES:
        raise LoadTestError(f"SHAPE={shape} is no shape: take one of {', '.join(SHAPES)}")
    if model not in MODELS:
        raise LoadTestError(f"MODEL={model} is no model: take people or open")
    for name in ("USERS", "SPAWN_RATE", "PROCESSES", "LOADTEST_PORT", "MASTER_PORT", "EXPECT_WORKERS"):
        if number(name, 1) < 1:
            raise LoadTestError(f"{name}={os.environ[name]} is less than 1")


def _arguments(mode: str, environment: dict[str, str]) -> list[str]:
    shape = environment.get("SHAPE", "")
    port, processes = f"{number('MASTER_PORT', 5557):.0f}", int(number("PROCESSES", 1))
    if mode == "worker":
        master = environment.get("MASTER") or "127.0.0.1"
        return ["--worker", "--master-host", master, "--master-port", port, *_processes(processes)]
    arguments = ["--host", environment["VOTE_URL"], "--stop-timeout", STOP_SECONDS, *_size(mode, shape)]
    if mode == "master":
        workers = f"{number('EXPECT_WORKERS', 1):.0f}"
        arguments += ["--master", "--master-bind-port", port, "--expect-workers", workers]
    elif processes > 1:
        port = _free_port()
        own = ["--master-port", port, "--master-bind-port", port, "--master-bind-host", "127.0.0.1"]
        arguments += [*own, *_processes(processes)]
    if mode == "headless":
        return [*arguments, "--headless", "--only-summary"]
    page = f"{number('LOADTEST_PORT', 8089):.0f}"
    _check_port(int(page))
    print(f"the load test's page: http://localhost:{page}  (stop with Ctrl-C)")
    return [*arguments, "--web-host", "127.0.0.1", "--web-port", page, "--class-picker"]


def _size(mode: str, shape: str) -> list[str]:
    """How many users, how fast they come, and for how long; a headless run has defaults."""
    users, rate, run_time = (os.environ.get(name, "") for name in ("USERS", "SPAWN_RATE", "RUN_TIME"))
    if shape == FIND_THE_LIMIT:
        users = users or str(limits()["find_limit"]["first_users"])
    elif mode == "headless":
        users, run_time = users or "100", run_time or ("" if shape else "60s")
    if users:
        rate = rate or str(max(1, int(float(users)) // 5))
    named = {"--users": users, "--spawn-rate": rate, "--run-time": run_time}
    size = [part for name, value in named.items() if value for part in (name, value)]
    starts = mode != "headless" and (shape or (users and run_time))
    return [*size, "--autostart"] if starts else size


def _processes(count: int) -> list[str]:
    return ["--processes", str(count)] if count > 1 else []


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise LoadTestError(f"port {port} can't be used ({reason}): set LOADTEST_PORT to another one") from error


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`make up`: decides what to run from the settings, and runs it."""

import asyncio
import os
import re
import sys
from functools import partial
from pathlib import Path

from common.settings import Settings
from local import running
from local.environment import PROJECT, environment, is_set
from local.errors import LocalError
from local.log import Log
from local.ports import check_port, free_port, port_problem
from local.postgres import postgres_program, postgres_url
from local.programs import Program
from local.prometheus import observers
from local.redis import redis_program, redis_url
from local.running import Running
from local.sockets import POSTGRES_SOCKET, REDIS_SOCKET, remove_sockets, socket_folder
from local.supervisor import Plan, supervise

SERVICES = ("vote", "worker", "result")

# A service's own time at the head of a line, in colour or not: the log has one already.
_OWN_TIME = re.compile(r"^(\x1b\[\d+m)?\d\d:\d\d:\d\d(\x1b\[0m)? ")


def up(settings: Settings) -> None:
    """Run the whole system until a signal."""
    data = settings.data_dir
    with running.lock(data) as lock:
        sockets = socket_folder(data)
        plan = _plan(settings, sockets)
        try:
            asyncio.run(supervise(plan, lock=lock, log=Log(sys.stdout.fileno(), colour=_in_colour())))
        finally:
            for name in (POSTGRES_SOCKET, REDIS_SOCKET):
                remove_sockets(sockets, name)


def _plan(settings: Settings, sockets: Path) -> Plan:
    data = settings.data_dir
    ports = _ports(settings)
    servers = []
    urls = {"REDIS_URL": settings.redis_address, "DATABASE_URL": settings.database_url}
    if not is_set("DATABASE_URL"):
        servers.append(postgres_program(data / "postgres", sockets))
        urls["DATABASE_URL"] = postgres_url(sockets)
    if not is_set("REDIS_URL", "REDIS_HOST"):
        servers.append(redis_program(data / "redis", sockets))
        urls["REDIS_URL"] = redis_url(sockets)
    shown_host = "localhost" if settings.host in ("127.0.0.1", "0.0.0.0", "::") else settings.host
    addresses = {name: f"http://{shown_host}:{ports[f'{name.upper()}_PORT']}" for name in SERVICES}
    servers += observers(settings, addresses)
    facts = Running(
        pid=os.getpid(),
        vote_url=addresses["vote"],
        result_url=addresses["result"],
        worker_url=addresses["worker"],
        redis_url=urls["REDIS_URL"],
        database_url=urls["DATABASE_URL"],
    )
    return Plan(servers, _services(settings, ports, urls), data, facts, settings.host)


def _services(settings: Settings, ports: dict[str, int], urls: dict[str, str]) -> list[Program]:
    own = {
        **{name: str(port) for name, port in ports.items()},
        **{name: url for name, url in urls.items() if not is_set(name)},
        "DATA_DIR": str(settings.data_dir),
        "PYTHONUNBUFFERED": "1",
    }
    defaults = {"LOG_FORMAT": "colour" if _in_colour() else "console"}
    return [
        Program(
            name=name,
            argv=(sys.executable, "-m", name),
            environ={**defaults, **environment(), **own},
            folder=PROJECT,
            tidy=partial(_OWN_TIME.sub, r""),
        )
        for name in SERVICES
    ]


def _in_colour() -> bool:
    return sys.stdout.isatty() and not is_set("NO_COLOR")


def _ports(settings: Settings) -> dict[str, int]:
    ports = {"VOTE_PORT": settings.vote_port, "RESULT_PORT": settings.result_port}
    if settings.vote_port == settings.result_port:
        raise LocalError(f"VOTE_PORT and RESULT_PORT are both {settings.vote_port}: set one of them to another port")
    for setting, port in ports.items():
        check_port(settings.host, port, setting=setting)
    if is_set("WORKER_PORT"):
        check_port(settings.host, settings.worker_port, setting="WORKER_PORT")
        return {**ports, "WORKER_PORT": settings.worker_port}
    # Nobody types the worker's port, so a second copy takes any.
    taken = settings.worker_port in ports.values() or port_problem(settings.host, settings.worker_port)
    return {**ports, "WORKER_PORT": free_port(settings.host) if taken else settings.worker_port}

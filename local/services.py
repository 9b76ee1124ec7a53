"""Our three services as `make up` runs them: their ports, their addresses, their environment."""

import re
import sys
from collections.abc import Collection, Mapping
from functools import partial

from common.settings import Settings
from local.environment import PROJECT, environment, is_set
from local.errors import LocalError
from local.ports import check_port, free_port, port_problem
from local.programs import Program

# Whom people talk to; the worker's port is for machines of ours.
WITH_TLS = ("vote", "result")

# A service's own time at the head of a line, in colour or not: the log has one already.
_OWN_TIME = re.compile(r"^(\x1b\[\d+m)?\d\d:\d\d:\d\d(\x1b\[0m)? ")


def choose_ports(settings: Settings, parts: Collection[str]) -> dict[str, int]:
    """The port of each service; raises LocalError if one of these parts can't have its port."""
    ports = {"vote": settings.vote_port, "result": settings.result_port, "worker": settings.worker_port}
    if {"vote", "result"} <= set(parts) and settings.vote_port == settings.result_port:
        raise LocalError(f"VOTE_PORT and RESULT_PORT are both {settings.vote_port}: set one of them to another port")
    # Nobody types the worker's port, so a second copy takes any.
    may_move = not is_set("WORKER_PORT")
    for service, port in ports.items():
        if service in parts and not (service == "worker" and may_move):
            check_port(settings.host, port, setting=f"{service.upper()}_PORT")
    if "worker" in parts and may_move:
        taken = settings.worker_port in (settings.vote_port, settings.result_port)
        if taken or port_problem(settings.host, settings.worker_port):
            ports["worker"] = free_port(settings.host)
    return ports


def service_url(settings: Settings, service: str, port: int) -> str:
    """The address as people type it."""
    host = "localhost" if settings.host in ("127.0.0.1", "0.0.0.0", "::") else settings.host
    scheme = "https" if settings.tls and service in WITH_TLS else "http"
    return f"{scheme}://{host}:{port}"


def service_program(name: str, settings: Settings, ports: Mapping[str, int], urls: Mapping[str, str]) -> Program:
    """The service of this name, with the servers at these addresses."""
    addresses = {"REDIS_URL": urls["redis"], "DATABASE_URL": urls["postgres"]}
    own = {
        **{f"{service.upper()}_PORT": str(port) for service, port in ports.items()},
        **{variable: url for variable, url in addresses.items() if not is_set(variable)},
        "DATA_DIR": str(settings.data_dir),
        "PYTHONUNBUFFERED": "1",
    }
    defaults = {"LOG_FORMAT": "colour" if in_colour() else "console"}
    return Program(
        name=name,
        argv=(sys.executable, "-m", name),
        environ={**defaults, **environment(), **own},
        folder=PROJECT,
        tidy=partial(_OWN_TIME.sub, r""),
    )


def in_colour() -> bool:
    """Whether people see colours in what we write."""
    return sys.stdout.isatty() and not is_set("NO_COLOR")

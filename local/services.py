"""Our three services as `make up` runs them: their ports, their addresses, their environment."""

import re
import sys
from collections.abc import Collection, Mapping
from functools import partial
from itertools import combinations

from common.settings import Settings, ignored_variables
from local.environment import PROJECT, environment, is_set
from local.parts import is_whole
from local.ports import free_port, port_advice, port_problem
from local.programs import Program
from local.prometheus import has_prometheus

# Whom people talk to; the worker's port is for machines of ours.
WITH_TLS = ("vote", "result")
# Who listens on one of these is reached by every address of this machine.
EVERY_ADDRESS = ("0.0.0.0", "::")

# A service's own time at the head of a line, in colour or not: the log has one already.
_OWN_TIME = re.compile(r"^(\x1b\[\d+m)?\d\d:\d\d:\d\d(\x1b\[0m)? ")


def port_problems(settings: Settings, parts: Collection[str], address: str) -> list[str]:
    """Why these parts can't have their ports at this address, as far as they are not free to take others."""
    ports = {f"{service.upper()}_PORT": port for service, port in _wanted_ports(settings, parts).items()}
    if settings.observe and is_whole(parts) and has_prometheus():
        ports["PROMETHEUS_PORT"] = settings.prometheus_port
    equal = [
        f"{one} and {other} are both {ports[one]}: set one of them to another port"
        for one, other in combinations(ports, 2)
        if ports[one] == ports[other]
    ]
    taken = (port_advice(address, port, setting=setting) for setting, port in ports.items())
    return equal or [advice for advice in taken if advice]


def choose_ports(settings: Settings, parts: Collection[str], address: str) -> dict[str, int]:
    """The port of each service. Nobody types the worker's, so a second copy takes any."""
    ports = {"vote": settings.vote_port, "result": settings.result_port, "worker": settings.worker_port}
    if "worker" in parts and not is_set("WORKER_PORT"):
        taken = settings.worker_port in (settings.vote_port, settings.result_port)
        if taken or port_problem(address, settings.worker_port):
            ports["worker"] = free_port(address)
            print(
                f"port {settings.worker_port} is taken: the worker's health and metrics are on port {ports['worker']}",
                flush=True,
            )
    return ports


def _wanted_ports(settings: Settings, parts: Collection[str]) -> dict[str, int]:
    ports = {"vote": settings.vote_port, "result": settings.result_port}
    if is_set("WORKER_PORT"):
        ports["worker"] = settings.worker_port
    return {service: port for service, port in ports.items() if service in parts}


def service_url(settings: Settings, service: str, port: int, *, host: str = "") -> str:
    """The address as people type it, on this machine or by another name or address of it."""
    host = host or ("localhost" if settings.host in ("127.0.0.1", *EVERY_ADDRESS) else settings.host)
    scheme = "https" if settings.tls and service in WITH_TLS else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


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
    # What nobody reads was told once, by us, before the start.
    inherited = {variable: value for variable, value in environment().items() if variable not in ignored_variables()}
    return Program(
        name=name,
        argv=(sys.executable, "-m", name),
        environ={**defaults, **inherited, **own},
        folder=PROJECT,
        tidy=partial(_OWN_TIME.sub, r""),
    )


def in_colour() -> bool:
    """Whether people see colours in what we write."""
    return sys.stdout.isatty() and not is_set("NO_COLOR")

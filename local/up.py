"""`make up`: decides what to run from the settings and the parts that are named, and runs it."""

import asyncio
import sys
from collections.abc import Collection
from functools import partial
from pathlib import Path

from common.settings import Settings
from local import locks, running
from local.environment import is_set
from local.errors import LocalError
from local.log import Log
from local.parts import SERVERS, SERVICES, chosen, is_whole
from local.postgres import postgres_program, postgres_url
from local.prometheus import PROMETHEUS, observers, prometheus_url
from local.ready import page_check, server_check
from local.redis import redis_program, redis_url
from local.running import Part
from local.services import choose_ports, in_colour, service_program, service_url
from local.sockets import POSTGRES_SOCKET, REDIS_SOCKET, remove_sockets, socket_folder
from local.supervisor import Plan, supervise

# Who names a server by one of these needs none of ours.
NAMED_BY = {"postgres": ("DATABASE_URL",), "redis": ("REDIS_URL", "REDIS_HOST")}
SOCKETS = {"postgres": POSTGRES_SOCKET, "redis": REDIS_SOCKET}


def up(settings: Settings, names: Collection[str] = ()) -> None:
    """Run the parts of these names, all if there is no name, until a signal."""
    parts = _ours(names)
    data = settings.data_dir
    # Prometheus is no part that a run could be without the others: it comes with those it looks at.
    beside = (PROMETHEUS,) if is_whole(parts) else ()
    with locks.hold(data, parts) as descriptors, running.told(data, (*parts, *beside)):
        sockets = socket_folder(data)
        plan = _plan(settings, parts, sockets)
        try:
            asyncio.run(supervise(plan, locks=descriptors, log=Log(sys.stdout.fileno(), colour=in_colour())))
        finally:
            for part in SOCKETS.keys() & parts:
                remove_sockets(sockets, SOCKETS[part])


def _ours(names: Collection[str]) -> tuple[str, ...]:
    """The parts to run, without the servers that are elsewhere."""
    for part, variables in NAMED_BY.items():
        if part in names and is_set(*variables):
            raise LocalError(f"{' or '.join(variables)} names a {part} already: unset it to run one here")
    return tuple(part for part in chosen(names) if not is_set(*NAMED_BY.get(part, ())))


def _plan(settings: Settings, parts: Collection[str], sockets: Path) -> Plan:
    data, ports = settings.data_dir, choose_ports(settings, parts)
    named = {"postgres": settings.database_url, "redis": settings.redis_address}
    elsewhere = {server: named[server] for server in SERVERS if is_set(*NAMED_BY[server])}
    # Ours have these addresses also if another run in this data folder has them as parts.
    urls = {"postgres": postgres_url(sockets), "redis": redis_url(sockets)} | elsewhere
    urls |= {service: service_url(settings, service, ports[service]) for service in SERVICES}
    urls[PROMETHEUS] = prometheus_url(settings)
    makers = {
        "postgres": partial(postgres_program, data / "postgres", sockets),
        "redis": partial(redis_program, data / "redis", sockets),
    }
    servers = [makers[server]() for server in SERVERS if server in parts]
    servers += observers(settings, urls) if is_whole(parts) else []
    services = [service_program(service, settings, ports, urls) for service in SERVICES if service in parts]
    return Plan(
        servers,
        services,
        data,
        facts={
            program.name: Part(urls[program.name], int(program.stop_signal), elsewhere)
            for program in (*servers, *services)
        },
        # Nobody waits for Prometheus: voting goes on without it.
        checks={server: server_check(server, sockets) for server in SERVERS if server in parts}
        | {service.name: page_check(urls[service.name], host=settings.host) for service in services},
    )

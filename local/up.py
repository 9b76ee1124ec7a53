"""`make up`: decides what to run from the settings and the parts that are named, and runs it."""

import asyncio
import sys
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

from common.preflight import address_to_listen_on
from common.settings import Settings, ignored_variables
from local import locks, running
from local.environment import data_folder, is_set, load_settings
from local.errors import LocalError
from local.log import Log
from local.parts import PARTS, SERVERS, SERVICES, in_order, is_whole, unknown
from local.ports import own_addresses
from local.postgres import postgres_program, postgres_url
from local.prometheus import PROMETHEUS, observers
from local.ready import page_check, server_check
from local.redis import redis_program, redis_url
from local.running import Part
from local.services import EVERY_ADDRESS, choose_ports, in_colour, port_problems, service_program, service_url
from local.sockets import POSTGRES_SOCKET, REDIS_SOCKET, remove_sockets, socket_folder
from local.supervisor import Plan, supervise

# Who names a server by one of these needs none of ours.
NAMED_BY = {"postgres": ("DATABASE_URL",), "redis": ("REDIS_URL", "REDIS_HOST")}
SOCKETS = {"postgres": POSTGRES_SOCKET, "redis": REDIS_SOCKET}


def up(names: Collection[str] = ()) -> None:
    """Run the parts of these names, all if there is no name, until a signal; raises LocalError."""
    parts = _ours(names)
    settings = load_settings(set(SERVICES) & set(parts), partial(_problems, names, parts))
    for advice in ignored_variables().values():
        print(f"warning: {advice}", flush=True)
    data = settings.data_dir
    # Prometheus is no part that a run could be without the others: it comes with those it looks at.
    beside = (PROMETHEUS,) if is_whole(parts) else ()
    with locks.hold(data, parts) as descriptors, running.told(data, (*parts, *beside)):
        address = address_to_listen_on(settings.host)
        # Once more, because an earlier run may have had them until now.
        if problems := port_problems(settings, parts, address):
            raise LocalError("\n".join(problems))
        sockets = socket_folder(data)
        plan = _plan(settings, parts, choose_ports(settings, parts, address), sockets)
        try:
            asyncio.run(supervise(plan, locks=descriptors, log=Log(sys.stdout.fileno(), colour=in_colour())))
        finally:
            for part in SOCKETS.keys() & parts:
                remove_sockets(sockets, SOCKETS[part])


def _ours(names: Collection[str]) -> tuple[str, ...]:
    """The parts to run, without the servers that are elsewhere."""
    data_folder()  # reads .env, which may name servers
    return tuple(part for part in in_order(names or PARTS) if not is_set(*NAMED_BY.get(part, ())))


def _problems(names: Collection[str], parts: Collection[str], settings: Settings) -> list[str]:
    """What keeps these parts from running here, as far as it can be told before their locks are held."""
    problems = unknown(names) + [
        f"{' or '.join(variables)} names a {part} already: unset it to run one here"
        for part, variables in NAMED_BY.items()
        if part in names and is_set(*variables)
    ]
    try:
        locks.make_folder(settings.data_dir)
        if any(locks.is_locked(settings.data_dir, part) for part in parts):
            return problems
        return [*problems, *port_problems(settings, parts, address_to_listen_on(settings.host))]
    except LocalError as error:
        return [*problems, str(error)]
    except ValueError:  # of HOST, which is told already
        return problems


def _plan(settings: Settings, parts: Collection[str], ports: Mapping[str, int], sockets: Path) -> Plan:
    data = settings.data_dir
    named = {"postgres": settings.database_url, "redis": settings.redis_address}
    elsewhere = {server: named[server] for server in SERVERS if is_set(*NAMED_BY[server])}
    # Ours have these addresses also if another run in this data folder has them as parts.
    urls = {"postgres": postgres_url(sockets), "redis": redis_url(sockets)} | elsewhere
    urls |= {service: service_url(settings, service, ports[service]) for service in SERVICES}
    urls[PROMETHEUS] = service_url(settings, PROMETHEUS, settings.prometheus_port)
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
        for_others=_for_others(settings, parts, ports),
    )


def _for_others(settings: Settings, parts: Collection[str], ports: Mapping[str, int]) -> list[dict[str, str]]:
    """The pages' addresses for phones and other machines, by the names of parts: once for each way to it."""
    pages = [part for part in ("vote", "result") if part in parts]
    hosts = own_addresses() if settings.host in EVERY_ADDRESS else []
    ways = [{page: service_url(settings, page, ports[page], host=host) for page in pages} for host in hosts]
    said = {"vote": settings.vote_url, "result": settings.result_url}
    if named := {page: said[page] for page in pages if said[page]}:
        # Somebody knows better, for example where a proxy is; what nobody has said stays as it is found.
        return [{**(ways[0] if ways else {}), **named}]
    return [way for way in ways if way]

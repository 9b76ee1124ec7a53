"""`make up`: decides what to run, from the settings and the parts that are named, and runs it."""

import asyncio
import contextlib
import re
import socket
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

from common.preflight import address_to_listen_on, with_port
from common.settings import Settings, ignored_variables
from local import activation, running
from local.environment import PROJECT, data_folder, environment, is_set, load_settings
from local.errors import LocalError
from local.log import Log
from local.parts import PARTS, SERVERS, SERVICES, Part, command, in_order, is_whole, subject, unknown
from local.ports import free_port, own_addresses, port_advice, port_problem
from local.postgres import postgres_part, postgres_url
from local.probe import POSTGRES_SOCKET, REDIS_SOCKET, remove_sockets, server_check, service_check, socket_folder
from local.prometheus import PROMETHEUS, has_prometheus, observers
from local.redis import redis_part, redis_url
from local.running import Facts
from local.supervisor import Plan, supervise

# Who names a server by one of these needs none of ours.
NAMED_BY = {"postgres": ("DATABASE_URL",), "redis": ("REDIS_URL", "REDIS_HOST")}
SOCKETS = {"postgres": POSTGRES_SOCKET, "redis": REDIS_SOCKET}
# People talk to these; only machines of ours ask the worker.
WITH_TLS = ("vote", "result")
# A service that listens on one of these is reached by every address of this machine.
EVERY_ADDRESS = ("0.0.0.0", "::")
# A service has 4 s to answer everybody, and one for its application.
SERVICE_STOP_SECONDS = 6.0
# A service's own time at the head of a line, in colour or not: the log has one already.
_OWN_TIME = re.compile(r"^(\x1b\[\d+m)?\d\d:\d\d:\d\d(\x1b\[0m)? ")


def up(names: Collection[str] = ()) -> None:
    """Run the parts of these names, all if there is no name, until a signal; raises LocalError."""
    parts = _ours(names)
    settings = load_settings(set(SERVICES) & set(parts), partial(_problems, names, parts))
    for advice in ignored_variables().values():
        print(f"warning: {advice}", flush=True)
    data = settings.data_dir
    # Prometheus is no part that a run could be without the others: it comes with those it looks at.
    beside = (PROMETHEUS,) if is_whole(parts) else ()
    with running.hold(data, parts) as locks, running.told(data, (*parts, *beside)):
        address = address_to_listen_on(settings.host)
        # Once more, because an earlier run may have had them until now.
        if problems := port_problems(settings, parts, address):
            raise LocalError("\n".join(problems))
        sockets = socket_folder(data)
        ports = choose_ports(settings, parts, address)
        with _listeners(set(SERVICES) & set(parts), address, ports) as listeners:
            plan = _plan(settings, parts, ports, sockets, listeners)
            try:
                asyncio.run(supervise(plan, locks=locks, log=Log(sys.stdout.fileno(), colour=_in_colour())))
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
        running.make_folder(settings.data_dir)
        if any(running.is_locked(settings.data_dir, part) for part in parts):
            return problems
        return [*problems, *port_problems(settings, parts, address_to_listen_on(settings.host))]
    except LocalError as error:
        return [*problems, str(error)]
    except ValueError:  # of HOST, which is told already
        return problems


def port_problems(settings: Settings, parts: Collection[str], address: str) -> list[str]:
    """Why these parts can't have the ports that they must have."""
    ports = {f"{service.upper()}_PORT": port for service, port in _ports(settings).items() if service in parts}
    if not is_set("WORKER_PORT"):  # then it may have another one
        ports.pop("WORKER_PORT", None)
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
    ports = _ports(settings)
    worker = ports["worker"]
    if "worker" not in parts or is_set("WORKER_PORT"):
        return ports
    if worker in (ports["vote"], ports["result"]) or port_problem(address, worker):
        ports["worker"] = free_port(address)
        print(f"port {worker} is taken: the worker's health and metrics are on port {ports['worker']}", flush=True)
    return ports


def _ports(settings: Settings) -> dict[str, int]:
    return {"vote": settings.vote_port, "result": settings.result_port, "worker": settings.worker_port}


@contextlib.contextmanager
def _listeners(services: Collection[str], address: str, ports: Mapping[str, int]) -> Iterator[dict[str, socket.socket]]:
    """The sockets on which the services listen; they are ours, so that no restart closes a port."""
    with contextlib.ExitStack() as stack:
        listeners = {}
        for service in services:
            try:
                listener = activation.listening_socket(address, ports[service])
            except OSError as error:
                raise LocalError(f"port {ports[service]} can't be used for {service}: {error.strerror}") from error
            listeners[service] = stack.enter_context(listener)
        yield listeners


def service_url(settings: Settings, service: str, port: int, *, host: str = "") -> str:
    """The address as people type it, on this machine or by another name or address of it."""
    host = host or ("localhost" if settings.host in ("127.0.0.1", *EVERY_ADDRESS) else settings.host)
    scheme = "https" if settings.tls and service in WITH_TLS else "http"
    return f"{scheme}://{with_port(host, port)}"


def service_part(
    name: str, settings: Settings, ports: Mapping[str, int], urls: Mapping[str, str], listener: socket.socket
) -> Part:
    """The service of this name, with the servers at these addresses."""
    addresses = {"REDIS_URL": urls["redis"], "DATABASE_URL": urls["postgres"]}
    own = {
        **{f"{service.upper()}_PORT": str(port) for service, port in ports.items()},
        **{variable: url for variable, url in addresses.items() if not is_set(variable)},
        "DATA_DIR": str(settings.data_dir),
        "PYTHONUNBUFFERED": "1",
    }
    defaults = {"LOG_FORMAT": "colour" if _in_colour() else "console"}
    # We have warned of those that nobody reads; once is enough.
    inherited = {variable: value for variable, value in environment().items() if variable not in ignored_variables()}
    return Part(
        name=name,
        argv=activation.command(name, sockets := {activation.NAMES[name]: listener}),
        environ={**defaults, **inherited, **own},
        folder=PROJECT,
        sockets=sockets,
        stop_seconds=SERVICE_STOP_SECONDS,
        tidy=partial(_OWN_TIME.sub, r""),
    )


def welcome(
    parts: Collection[str], urls: Mapping[str, str], for_others: Sequence[Mapping[str, str]] = (), *, seconds: float
) -> str:
    """What is said when all is ready: the pages' addresses here, and those that phones and other machines need."""
    paragraphs = [f"  {subject(parts, 'is', 'are')} ready ({seconds:.1f} s)", *_addresses(urls)]
    if for_others:
        paragraphs.append("  for phones and other machines:")
        paragraphs += [paragraph for way in for_others for paragraph in _addresses(way)]
    paragraphs.append(f"  stop with Ctrl-C or {command('down', parts)}")
    return "\n{}\n".format("\n\n".join(paragraphs))


_PAGES = (
    ("vote at  ", "vote", ""),
    ("watch at ", "result", ""),
    ("look into", "result", "/pipeline"),
    ("graphs at", "prometheus", ""),
)


def _addresses(urls: Mapping[str, str]) -> list[str]:
    """One paragraph with the pages that are among these, or none."""
    lines = [f"    {what} {urls[part].rstrip('/')}{path}" for what, part, path in _PAGES if part in urls]
    return ["\n".join(lines)] if lines else []


def _plan(
    settings: Settings,
    names: Collection[str],
    ports: Mapping[str, int],
    sockets: Path,
    listeners: Mapping[str, socket.socket],
) -> Plan:
    data = settings.data_dir
    named = {"postgres": settings.database_url, "redis": settings.redis_address}
    elsewhere = {server: named[server] for server in SERVERS if is_set(*NAMED_BY[server])}
    # Ours have these addresses also if another run in this data folder has them as parts.
    urls = {"postgres": postgres_url(sockets), "redis": redis_url(sockets)} | elsewhere
    urls |= {service: service_url(settings, service, ports[service]) for service in SERVICES}
    urls[PROMETHEUS] = service_url(settings, PROMETHEUS, settings.prometheus_port)
    makers = {
        "postgres": partial(postgres_part, data / "postgres", sockets),
        "redis": partial(redis_part, data / "redis", sockets),
    }
    servers = [makers[server]() for server in SERVERS if server in names]
    servers += observers(settings, urls) if is_whole(names) else []
    services = [
        service_part(service, settings, ports, urls, listeners[service]) for service in SERVICES if service in names
    ]
    parts = [*servers, *services]
    ours = {part.name: urls[part.name] for part in parts}
    return Plan(
        servers,
        services,
        data,
        facts={part.name: Facts(urls[part.name], elsewhere) for part in parts},
        # Nobody waits for Prometheus: voting goes on without it.
        checks={server: server_check(server, sockets) for server in SERVERS if server in names}
        | {service.name: service_check(urls[service.name], host=settings.host) for service in services},
        welcome=partial(welcome, ours, ours, _for_others(settings, names, ports)),
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


def _in_colour() -> bool:
    """Whether people see colours in what we write."""
    return sys.stdout.isatty() and not is_set("NO_COLOR")

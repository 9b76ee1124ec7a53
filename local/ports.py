"""Which ports are free, checked before anything starts, and which addresses this machine has for phones."""

import errno
import fcntl
import os
import socket
import struct
import sys

from common.preflight import tcp_socket

# Behind these interfaces there are only this machine's own containers and virtual machines.
OURS_ALONE = ("lo", "docker", "br-", "veth", "virbr", "vmnet", "cni", "podman")
SIOCGIFADDR = 0xC0206921 if sys.platform == "darwin" else 0x8915
FURTHER = 10  # from a port to the first one that is offered in its place


def port_advice(address: str, port: int, *, setting: str) -> str | None:
    """What is wrong with this port, which the setting names, and which other one is free; None if all is well."""
    problem = port_problem(address, port)
    if problem is None:
        return None
    others = (port + further for further in range(FURTHER, 1000))
    other = next((other for other in others if other < 65536 and port_problem(address, other) is None), None)
    other = other or free_port(address)
    return f"port {port} {problem}: set {setting} to another one, e.g. make up {setting}={other}"


def port_problem(address: str, port: int) -> str | None:
    """Why this port can't be served, or None."""
    with tcp_socket(address) as server:
        # As the services do: a connection of an earlier run in TIME_WAIT does not matter.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((address, port))
        except OSError as error:
            return "is taken" if error.errno == errno.EADDRINUSE else f"can't be used ({os.strerror(error.errno or 0)})"
    # macOS lets us bind beside AirPlay, which listens on every address, and `localhost` would then reach AirPlay.
    return "is taken" if any(_answers(here, port) for here in ("127.0.0.1", "::1")) else None


def free_port(address: str) -> int:
    """Some free port."""
    with tcp_socket(address) as server:
        server.bind((address, 0))
        return int(server.getsockname()[1])


def own_addresses() -> list[str]:
    """Where other machines and phones reach this one; empty without a network."""
    found = [
        address
        for _, name in socket.if_nameindex()
        if not name.startswith(OURS_ALONE) and (address := _address_of(name))
    ]
    return list(dict.fromkeys(found)) or _by_route()


def _address_of(interface: str) -> str | None:
    """The IPv4 address of an interface (netdevice(7)), if it has one that others can reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, SIOCGIFADDR, struct.pack("16s240x", interface.encode()[:15]))
        except OSError:  # it has none
            return None
    address = socket.inet_ntoa(answer[20:24])
    return None if address.startswith(("127.", "169.254.")) else address


def _by_route() -> list[str]:
    """The IPv6 address from which this machine would reach others; nothing is sent."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as any_socket:
            any_socket.connect(("2001:db8::1", 9))  # RFC 3849: an example, nobody's
            address = str(any_socket.getsockname()[0])
    except OSError:
        return []
    return [] if address == "::1" or address.startswith("fe80") else [address]


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=0.5):
            return True
    except OSError:
        return False

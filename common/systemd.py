"""The two protocols by which systemd, or any other supervisor, keeps a port open while services come and go.

Listening sockets are handed to a service as open descriptors (sd_listen_fds(3)), so that a new process can serve beside
the old one. The service says when it is ready and when it stops in datagrams (sd_notify(3)). Without a supervisor that
speaks them, nothing here does anything.
"""

import os
import socket

import structlog

FIRST_DESCRIPTOR = 3
UNNAMED = "unknown"  # as sd_listen_fds_with_names(3) calls a socket without a name
NOTIFY_SECONDS = 1.0

log = structlog.get_logger()


class NotAListener(Exception):
    """What was handed over can't be listened on; the text says why."""


def take_sockets(name: str) -> list[socket.socket]:
    """The listening sockets of this name that were handed to this process; the others are closed.

    To be called once, before anything else is started: it also takes the variables out of the environment, and the
    sockets from whatever this process starts. Raises NotAListener.
    """
    process, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    names = os.environ.pop("LISTEN_FDNAMES", "")
    if process != str(os.getpid()) or not count.isdecimal():  # they are meant for a process that started this one
        return []
    taken = []
    for place, given in enumerate(_names(names, int(count))):
        descriptor = FIRST_DESCRIPTOR + place
        if given == name:
            taken.append(_listener(descriptor, given))
        else:
            log.warning("socket_not_used", name=given, wanted=name)
            os.close(descriptor)
    return taken


def notify(*lines: str) -> None:
    """Tell the supervisor, if there is one: `READY=1`, `STOPPING=1`, `STATUS=...`."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(NOTIFY_SECONDS)
            sender.connect(f"\0{address[1:]}" if address.startswith("@") else address)
            sender.sendall("\n".join(lines).encode())
    except OSError as error:
        log.warning("supervisor_not_notified", reason=str(error), what=lines)


def status(text: str) -> None:
    """Tell the supervisor in one line how the service is."""
    notify(f"STATUS={' '.join(text.split())}")


def _names(names: str, count: int) -> list[str]:
    given = names.split(":") if names else []
    return [*given, *[UNNAMED] * count][:count]


def _listener(descriptor: int, name: str) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        listener = socket.socket(fileno=descriptor)
    except OSError as error:
        raise NotAListener(f"descriptor {descriptor}, handed over as {name}, is no socket: {error.strerror}") from None
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or listener.type != socket.SOCK_STREAM:
        listener.close()
        raise NotAListener(f"descriptor {descriptor}, handed over as {name}, is no TCP socket")
    return listener

"""Whether the ports are free, told before anything starts."""

import errno
import os
import socket

from local.errors import LocalError


def check_port(host: str, port: int, *, setting: str) -> None:
    """Raise LocalError, which names the setting, if the port can't be served."""
    problem = port_problem(host, port)
    if problem is None:
        return
    other = next(other for other in range(port + 10, port + 1000) if port_problem(host, other % 65536 or 1) is None)
    raise LocalError(f"port {port} {problem}: set {setting} to another one, e.g. make up {setting}={other}")


def port_problem(host: str, port: int) -> str | None:
    """Why this port can't be served, or None."""
    with socket.socket() as server:
        # As the services do: a connection of an earlier run that is still winding down is no hindrance.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((host, port))
        except OSError as error:
            return "is taken" if error.errno == errno.EADDRINUSE else f"can't be used ({os.strerror(error.errno or 0)})"
    # macOS lets us bind beside AirPlay, which listens on every address, and `localhost` would then reach AirPlay.
    return "is taken" if any(_answers(address, port) for address in ("127.0.0.1", "::1")) else None


def free_port(host: str) -> int:
    """Some free port."""
    with socket.socket() as server:
        server.bind((host, 0))
        return int(server.getsockname()[1])


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=0.5):
            return True
    except OSError:
        return False

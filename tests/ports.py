"""Ports for what tests start."""

import os
import random
import socket
from itertools import cycle

# Below those that systems give to clients by themselves: none is taken between our look and its use.
FIRST, LAST = 20_000, 32_000
# Several processes share the tests of a run (pytest-xdist); each takes its ports from a range of its own.
PROCESSES = 12


def _range() -> list[int]:
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PROCESSES
    size = (LAST - FIRST) // PROCESSES
    begin = FIRST + process * size
    # Two runs on one machine begin at different places.
    shift = random.randrange(size)
    return [begin + (shift + number) % size for number in range(size)]


_candidates = cycle(_range())


def free_port() -> int:
    """A port of this machine that nobody listens on; the same one is not given soon again."""
    for port in _candidates:
        with socket.socket() as probe:
            # as our servers do: a port whose last connection has just ended is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("cycle() ends only when it is empty")


def free_ports(count: int) -> list[int]:
    """So many, each another one."""
    return [free_port() for _ in range(count)]

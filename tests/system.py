"""The whole system as a user starts it, for tests: on ports of this test process."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from proof import system as whole
from proof.kill import children_of, paused
from proof.system import PROJECT, System, processes_of
from tests.ports import free_ports

__all__ = ["PROJECT", "System", "children_of", "paused", "processes_of", "running_system"]


@contextmanager
def running_system(data: Path, settings: Mapping[str, str]) -> Iterator[System]:
    """A system that is ready, and is stopped at the end."""
    vote, result, worker = free_ports(3)
    ports = {"VOTE_PORT": str(vote), "RESULT_PORT": str(result), "WORKER_PORT": str(worker)}
    with whole.running_system(data, {**ports, **settings}) as system:
        yield system

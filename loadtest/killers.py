"""Who kills in a drill under load: processes of `make up`, or containers of a Compose project."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from loadtest import compose
from loadtest.errors import LoadTestError
from loadtest.settings import compose_project, target
from proof.kill import ProcessKiller


class Killer(Protocol):
    """Kills by name."""

    @property
    def victims(self) -> tuple[str, ...]:
        """All there are, in the order of a drill."""

    def check(self, victims: Sequence[str]) -> None:
        """Raise ProofError if one of these can't be killed."""

    def kill(self, victim: str) -> str:
        """Kill it, and see to it that it is started again; returns what was killed, in words."""


class ContainerKiller:
    """Kills the containers of a service, all of them if it has several, and starts them at once.

    Docker does not start again what somebody killed on purpose, whatever its restart policy says.
    """

    victims = ("worker", "redis", "db", "result", "vote")

    def __init__(self, project: str) -> None:
        self._project = project

    def check(self, victims: Sequence[str]) -> None:
        there = compose.compose(self._project, "ps", "--services", "--status", "running").split()
        if missing := [victim for victim in victims if victim not in there]:
            names = ", ".join(there) or "none"
            raise LoadTestError(f"{', '.join(missing)}: not running in {self._project}; VICTIMS may be of: {names}")

    def kill(self, victim: str) -> str:
        compose.compose(self._project, "kill", "-s", "KILL", victim)
        compose.compose(self._project, "start", victim)
        return f"kill -9 {victim} (containers), and started again"


def killer() -> Killer:
    """The one for the system that is meant."""
    project = compose_project()
    return ContainerKiller(project) if project else ProcessKiller(_pids)


def _pids() -> Mapping[str, int]:
    pids = target().pids
    if not pids:
        raise LoadTestError(
            "only a system that runs here can be drilled: make up starts it (or COMPOSE=tallyho for containers)"
        )
    return pids

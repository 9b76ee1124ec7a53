"""The system in containers: where the services of a Compose project are, and how one is killed and started again.

Docker is asked for the ports, so nobody has to repeat which of them were published.
"""

import json
import subprocess

from loadtest.errors import LoadTestError

SECONDS = 60.0
# Where each service listens in its container, and how the load test calls its address.
SERVICES = {
    "vote": (5000, "VOTE_URL", "http://{}"),
    "result": (5001, "RESULT_URL", "http://{}"),
    "redis": (6379, "REDIS_URL", "redis://{}"),
    "db": (5432, "DATABASE_URL", "postgresql://postgres:password@{}/votes"),
}


def addresses(project: str) -> dict[str, str]:
    """The addresses of what a project publishes on this machine, by the names of their settings."""
    published = _published(compose(project, "ps", "--format", "json"))
    if not published:
        raise LoadTestError(f"no service of the Compose project {project} runs: docker compose up -d --wait starts it")
    return {
        setting: address.format(published[service, port])
        for service, (port, setting, address) in SERVICES.items()
        if (service, port) in published
    }


def compose(project: str, *command: str) -> str:
    """Run a command of Compose on a project; returns what it printed, and raises LoadTestError if it failed."""
    line = ["docker", "compose", "-p", project, *command]
    try:
        # Where no compose file is: the containers that run are meant, whatever files they were made from.
        done = subprocess.run(line, cwd="/", capture_output=True, text=True, timeout=SECONDS)
    except FileNotFoundError as error:
        raise LoadTestError("there is no docker here: install it, or leave COMPOSE out") from error
    except subprocess.TimeoutExpired as error:
        raise LoadTestError(f"{' '.join(line)} took longer than {SECONDS:.0f} s") from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        raise LoadTestError(f"{' '.join(line)} failed: {reason}")
    return done.stdout


def _published(listing: str) -> dict[tuple[str, int], str]:
    """Host and port as this machine reaches them, by service and port in the container, from what `ps` lists."""
    # an object on each line, or, before Compose 2.21, one list
    parsed = [json.loads(line) for line in listing.splitlines() if line.strip()]
    containers = [one for found in parsed for one in (found if isinstance(found, list) else [found])]
    return {
        (container["Service"], port["TargetPort"]): f"{_host(port.get('URL', ''))}:{port['PublishedPort']}"
        for container in containers
        for port in container.get("Publishers") or []
        if port["PublishedPort"]
    }


def _host(published_on: str) -> str:
    return "localhost" if published_on in ("", "0.0.0.0", "::", "127.0.0.1") else published_on

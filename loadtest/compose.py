"""A system in containers: runs Compose, and asks it for the published ports so that nobody has to repeat them."""

import json
import subprocess

from loadtest import LoadTestError

SECONDS = 60.0
# The port of each service in its container, and the setting that holds its address.
SERVICES = {
    "vote": (5000, "VOTE_URL", "http://{}"),
    "result": (5001, "RESULT_URL", "http://{}"),
    "redis": (6379, "REDIS_URL", "redis://{}"),
    "db": (5432, "DATABASE_URL", "postgresql://postgres:password@{}/votes"),
}


def addresses(project: str) -> dict[str, str]:
    """The addresses that a project publishes on this machine, by setting."""
    published = _published(compose(project, "ps", "--format", "json"))
    if not published:
        raise LoadTestError(f"no service of the Compose project {project} runs: docker compose up -d --wait starts it")
    return {
        setting: address.format(published[service, port])
        for service, (port, setting, address) in SERVICES.items()
        if (service, port) in published
    }


def compose(project: str, *command: str) -> str:
    """Run a Compose command on a project and return its output; raises LoadTestError."""
    line = ["docker", "compose", "-p", project, *command]
    try:
        # From a folder without a compose file: we mean the running containers, whatever files they were made from.
        done = subprocess.run(line, cwd="/", capture_output=True, text=True, timeout=SECONDS)
    except FileNotFoundError as error:
        raise LoadTestError("there is no docker here: install it, or leave COMPOSE unset") from error
    except subprocess.TimeoutExpired as error:
        raise LoadTestError(f"{' '.join(line)} took longer than {SECONDS:.0f} s") from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise LoadTestError(f"{' '.join(line)} failed: {reason}")
    return done.stdout


def _published(listing: str) -> dict[tuple[str, int], str]:
    """The published host and port, by service and port in the container, from the output of `ps`."""
    # One object per line; before Compose 2.21, a single list.
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

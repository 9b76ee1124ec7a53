"""What a load test has to know, from the environment and from what runs here: where the system is, and the limits."""

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtest import LoadTestError, compose
from local import running
from local.errors import LocalError

PROJECT = Path(__file__).resolve().parent.parent
LIMITS = Path(__file__).parent / "limits.toml"
EVERY_ADDRESS = ("0.0.0.0", "::", "*")  # what listens on these answers on every address of this machine


@dataclass(frozen=True)
class Target:
    """The system under load. Without the addresses of Redis and PostgreSQL, the audit can only compare totals."""

    vote_url: str
    result_url: str
    redis_url: str = ""
    database_url: str = ""
    pids: dict[str, int] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """The same as settings for another process."""
        named = {
            "VOTE_URL": self.vote_url,
            "RESULT_URL": self.result_url,
            "REDIS_URL": self.redis_url,
            "DATABASE_URL": self.database_url,
        }
        return {name: value for name, value in named.items() if value}


def data_folder() -> Path:
    """Where the system that runs here keeps its data and the load test its results."""
    return (PROJECT / Path(os.environ.get("DATA_DIR") or ".data").expanduser()).resolve()


def shown(folder: Path) -> str:
    """A folder as a person would type it."""
    return str(folder.relative_to(PROJECT) if folder.is_relative_to(PROJECT) else folder)


def target() -> Target:
    """The system that the settings name, or else the one that runs here; raises LoadTestError."""
    project = compose_project()
    named = compose.addresses(project) if project else {}
    vote_url, result_url, redis_url, database_url = (
        (_secret(name) or named.get(name, "")).rstrip("/")
        for name in ("VOTE_URL", "RESULT_URL", "REDIS_URL", "DATABASE_URL")
    )
    if bool(vote_url) != bool(result_url):
        raise LoadTestError("set both VOTE_URL and RESULT_URL, or neither to test the system that runs here")
    try:
        facts = running.read(data_folder())
    except LocalError as error:
        raise LoadTestError(str(error)) from error
    if facts is not None and facts.vote_url and facts.result_url and not project and vote_url in ("", facts.vote_url):
        return Target(
            facts.vote_url, result_url or facts.result_url, facts.redis_url, facts.database_url, dict(facts.pids)
        )
    if not vote_url:
        raise LoadTestError(
            "tallyho is not running here: start it with make up, or point to another system with VOTE_URL=... "
            "RESULT_URL=... or COMPOSE=tallyho"
        )
    return Target(vote_url, result_url, redis_url, database_url)


def pids_here() -> dict[str, int]:
    """The processes of what `make up` runs here, by part; raises LoadTestError if nothing does."""
    if pids := target().pids:
        return pids
    raise LoadTestError(
        "only a system that runs here can be drilled: start it with make up, or set COMPOSE=tallyho for containers"
    )


def compose_project() -> str:
    """The Compose project to test; empty for a system without containers."""
    return os.environ.get("COMPOSE", "").strip()


def page_host() -> str:
    return os.environ.get("LOADTEST_HOST") or "127.0.0.1"


def page_port() -> int:
    return int(number("LOADTEST_PORT", 8089))


def page_url() -> str:
    """The address of Locust's page, as seen from this machine."""
    if url := os.environ.get("LOADTEST_URL", "").rstrip("/"):
        return url
    host = page_host()
    return f"http://{'127.0.0.1' if host in EVERY_ADDRESS else host}:{page_port()}"


def limits() -> dict[str, Any]:
    """The limits and weights; raises LoadTestError."""
    path = Path(os.environ.get("LIMITS") or LIMITS)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise LoadTestError(f"the limits in {path} can't be read: {error}") from error


def number(name: str, default: float) -> float:
    """A number from the environment; raises LoadTestError."""
    text = os.environ.get(name, "")
    try:
        return float(text) if text else default
    except ValueError:
        raise LoadTestError(f"{name}={text} is not a number") from None


def _secret(name: str) -> str:
    """A variable, or the content of the file that NAME_FILE names, as the services read them."""
    value, path = os.environ.get(name, "").strip(), os.environ.get(f"{name}_FILE", "")
    if value or not path:
        return value
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LoadTestError(f"{name}_FILE: can't be read: {error}") from error

"""What is measured, from the environment: ENVIRONMENTS="tilt compose up" and ROUNDS=3."""

import os
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError

PROJECT = Path(__file__).resolve().parent.parent
NAMES = ("tilt", "compose", "up")
# What our own make, Python or .env may have set, and a terminal in the copy has not.
NOT_INHERITED = {"COMPOSE_FILE", "COMPOSE_PROFILES", "DATA_DIR", "HOST", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PARTS"}
NOT_INHERITED |= {"PYTHONPATH", "REDIS_HOST", "RESULT_PORTS", "SECRETS_DIR", "VENV", "VIRTUAL_ENV"}


@dataclass(frozen=True)
class Settings:
    """What is asked for."""

    environments: tuple[str, ...]
    rounds: int
    folder: Path


def read_settings() -> Settings:
    """The settings; raises BenchError."""
    names = tuple((os.environ.get("ENVIRONMENTS") or " ".join(NAMES)).replace(",", " ").split())
    for name in names:
        if name not in NAMES:
            raise BenchError(f"ENVIRONMENTS: there is no {name!r}: name some of {', '.join(NAMES)}")
    rounds = os.environ.get("ROUNDS") or "3"
    if not rounds.isdecimal() or not int(rounds):
        raise BenchError(f"ROUNDS={rounds}: give a number from 1 on, e.g. make dev-bench ROUNDS=3")
    data = PROJECT / Path(os.environ.get("DATA_DIR") or ".data").expanduser()
    return Settings(names, int(rounds), data.resolve() / "dev-bench")


def inherited() -> dict[str, str]:
    """Our environment without what would lead the copy to other servers, folders or settings."""
    kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    return {name: value for name, value in kept.items() if not name.endswith(("_URL", "_FILE"))}

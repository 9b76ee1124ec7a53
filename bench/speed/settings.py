"""What is measured, from the environment: STAGES="post-form get", ROUNDS=3, SECONDS=4."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from local.environment import data_folder


@dataclass(frozen=True)
class Settings:
    """What is asked for; no names are all stages."""

    names: tuple[str, ...]
    rounds: int
    seconds: float
    folder: Path


def read_settings() -> Settings:
    """The settings; raises BenchError."""
    rounds = os.environ.get("ROUNDS") or "3"
    if not rounds.isdecimal() or not int(rounds):
        raise BenchError(f"ROUNDS={rounds}: give a number from 1 on, e.g. make bench ROUNDS=3")
    names = tuple((os.environ.get("STAGES") or "").replace(",", " ").split())
    return Settings(names, int(rounds), _seconds(os.environ.get("SECONDS") or "4"), data_folder() / "bench")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 1 <= seconds <= 600:
        raise BenchError(f"SECONDS={text}: give a number from 1 to 600, e.g. make bench SECONDS=4")
    return seconds

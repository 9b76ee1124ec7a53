"""The drill under load: parts are killed at set moments while people vote and watch; then the audit, and how it felt.

What `make up` runs here can be drilled, and, with COMPOSE=tallyho, the containers of a Compose project.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from loadtest.errors import LoadTestError
from loadtest.killers import Killer, killer
from loadtest.outages import Outage, outage, read_events
from loadtest.settings import PROJECT, data_folder, number, shown, target

FIRST_SECONDS = 10.0  # until the first kill
CALM_SECONDS = 12.0  # between two kills, and after the last
USERS = 60
POLL_SECONDS = 0.2
BEGIN_SECONDS = 60.0
MORE_SECONDS = 600.0  # than the drill should take: it ends the load itself


def drill() -> int:
    """Run it; 0 if every vote was found and everything recovered."""
    hand = killer()
    victims = tuple(os.environ.get("VICTIMS", "").split()) or hand.victims
    first, calm = number("FIRST_SECONDS", FIRST_SECONDS), number("CALM_SECONDS", CALM_SECONDS)
    hand.check(victims)
    seconds = first + calm * len(victims)
    print(
        f"the drill: {int(number('USERS', USERS))} users, {seconds:.0f} s; kill -9 of {', '.join(victims)}", flush=True
    )
    folders = _folders()
    with _load(seconds) as load:
        try:
            kills = _carry_out(hand, victims, (first, calm), load, folders)
            output, _ = load.communicate()
        except BaseException:
            load.terminate()
            raise
    new = sorted(_folders() - folders)
    if not new or not (new[-1] / "result.json").exists():
        print(output, file=sys.stderr)
        raise LoadTestError("the load test under the drill ended without a result: see above")
    return _conclude(new[-1], [*kills, ("", time.time())])


def _carry_out(
    hand: Killer, victims: tuple[str, ...], times: tuple[float, float], load: subprocess.Popen[str], folders: set[Path]
) -> list[tuple[str, float]]:
    deadline = time.monotonic() + BEGIN_SECONDS
    while not any((folder / "before.json").exists() for folder in _folders() - folders):
        if load.poll() is not None or time.monotonic() > deadline:
            return []
        time.sleep(POLL_SECONDS)
    first, calm = times
    time.sleep(first)
    kills = []
    for victim in victims:
        if load.poll() is not None:
            break
        kills.append((victim, time.time()))
        print(f"  {hand.kill(victim)}", flush=True)
        time.sleep(calm)
    if load.poll() is None:
        load.send_signal(signal.SIGINT)  # by its own clock it would end before the last victim is back, or long after
    return kills


def _load(seconds: float) -> subprocess.Popen[str]:
    """The load test, whose limits are off: what is killed is not fast."""
    users = f"{number('USERS', USERS):.0f}"
    longest = f"{seconds + MORE_SECONDS:.0f}s"
    settings = {"USERS": users, "SPAWN_RATE": users, "RUN_TIME": longest, "SHAPE": "", "LIMITS_OFF": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "loadtest", "headless"],
        cwd=PROJECT,
        env=os.environ | target().environment() | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _conclude(folder: Path, kills: list[tuple[str, float]]) -> int:
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    events = read_events(folder)
    end = max(events.accepted, default=kills[-1][1])
    times = [*kills[:-1], ("", min(kills[-1][1], end))]
    outages = [outage(victim, at, until, events) for (victim, at), (_, until) in pairwise(times)]
    (folder / "outages.json").write_text(json.dumps([asdict(one) for one in outages], indent=2) + "\n")
    _say(result, outages, folder)
    recovered = all(one.recovered_seconds is not None for one in outages)
    return 0 if result["audit"]["ok"] and recovered and outages else 1


def _say(result: dict[str, Any], outages: list[Outage], folder: Path) -> None:
    audit = result["audit"]
    print("\nHow it felt:", *(one.in_words() for one in outages), sep="\n")
    print(f"\nAudit: {'every vote was found' if audit['ok'] else 'FOUND WRONG'}")
    names = ("accepted", "refused", "in_doubt", "voters", "confirmed", "lost", "doubled", "reverted", "undecided")
    print("  " + ", ".join(f"{audit[name]:,} {name.replace('_', ' ')}" for name in names if name in audit))
    print(*(f"  wrong: {problem}" for problem in audit["problems"]), sep="\n", end="")
    print(f"\nthe run: {shown(folder)}")


def _folders() -> set[Path]:
    return set((data_folder() / "loadtest").glob("2*"))

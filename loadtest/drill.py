"""The drill under load: parts are killed while people vote and watch; then the audit, and what each outage was like.

It drills what `make up` runs here or, with COMPOSE=tallyho, the containers of a Compose project. After each kill it
waits until the system has recovered, and lets it run for a while before the next one.

For voters an outage lasts from the kill until votes are accepted again for good, that is, until the last vote that
failed and the last long silence before the next kill. For viewers it lasts until a vote cast after that is on a screen.
"""

import json
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from loadtest import LoadTestError, compose
from loadtest.background import Load
from loadtest.settings import compose_project, number, pids_here, shown, target
from proof.kill import ProcessKiller
from proof.ledger import Outcome, lines
from proof.waiting import TooLate, eventually

FIRST_SECONDS = 10.0  # until the first kill
CALM_SECONDS = 12.0  # between two kills, and after the last
RECOVERY_SECONDS = 60.0  # that the next kill waits, at most, for the system to recover
USERS = 60
SILENCE_SECONDS = 1.0  # without a kill, accepted votes come closer together than this


class ContainerKiller:
    """Kills the containers of a service, all of them if it has several, and starts them at once.

    Docker does not restart what somebody killed on purpose, whatever its restart policy says.
    """

    victims: tuple[str, ...] = ("worker", "redis", "db", "result", "vote")

    def __init__(self, project: str) -> None:
        self._project = project

    def check(self, victims: Sequence[str]) -> None:
        running = compose.compose(self._project, "ps", "--services", "--status", "running").split()
        if missing := [victim for victim in victims if victim not in running]:
            names = ", ".join(running) or "none"
            raise LoadTestError(f"{', '.join(missing)}: not running in {self._project}; choose VICTIMS from: {names}")

    def kill(self, victim: str) -> str:
        compose.compose(self._project, "kill", "-s", "KILL", victim)
        compose.compose(self._project, "start", victim)
        return f"kill -9 {victim} (containers), and restarted"


Killer = ProcessKiller | ContainerKiller


def choose_killer() -> Killer:
    """For processes or for containers, as the settings say."""
    project = compose_project()
    return ContainerKiller(project) if project else ProcessKiller(pids_here)


@dataclass
class Events:
    """What happened when, in Unix seconds, each list in order."""

    accepted: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)  # votes refused or in doubt
    seen: list[tuple[float, float]] = field(default_factory=list)  # arrival on a screen, and the vote's cast_at


@dataclass(frozen=True)
class Outage:
    """What voters and viewers noticed of one kill."""

    victim: str
    not_accepted: int
    voters_seconds: float  # the longest time without an accepted vote
    viewers_seconds: float  # the longest time without a new vote on any screen
    recovered_seconds: float | None  # from the kill until a vote cast after all failures was on a screen

    def in_words(self) -> str:
        seconds = self.recovered_seconds
        recovered = "NOT RECOVERED" if seconds is None else f"recovered after {seconds:.1f} s"
        return (
            f"  {self.victim:<10} {self.not_accepted:5} votes not accepted   no accepted vote for "
            f"{self.voters_seconds:4.1f} s   no new vote on a screen for {self.viewers_seconds:4.1f} s   "
            f"{recovered}"
        )


def read_events(folder: Path) -> Events:
    """The events of all ledgers in a run's folder."""
    events = Events()
    for path in folder.glob("ledger-*.jsonl"):
        for _, line in lines(path):
            if line["event"] == "seen":
                events.seen.append((line["at"], datetime.fromisoformat(line["as_of"]).timestamp()))
            elif line["event"] == "answered":
                accepted = line["outcome"] == Outcome.ACCEPTED
                (events.accepted if accepted else events.failed).append(line["at"])
    for happened in (events.accepted, events.failed, events.seen):
        happened.sort()
    return events


def outage(victim: str, killed: float, until: float, events: Events) -> Outage:
    """What was noticed of the kill at this time until the next one."""
    failed = [at for at in events.failed if killed <= at < until]
    calm = max(failed, default=killed)
    calm = max(calm, _end_of_last_silence(events.accepted, killed, until))
    shown = (at for at, cast_at in events.seen if cast_at >= calm and at < until)
    recovered = next(shown, None)
    return Outage(
        victim=victim,
        not_accepted=len(failed),
        voters_seconds=longest_gap(events.accepted, killed, until),
        viewers_seconds=longest_gap([at for at, _ in events.seen], killed, until),
        recovered_seconds=None if recovered is None else recovered - killed,
    )


def longest_gap(times: Sequence[float], begin: float, end: float) -> float:
    return max((later - earlier for earlier, later in _gaps(times, begin, end)), default=0.0)


def _end_of_last_silence(times: Sequence[float], begin: float, end: float) -> float:
    silences = [later for earlier, later in _gaps(times, begin, end) if later - earlier > SILENCE_SECONDS]
    return max(silences, default=begin)


def _gaps(times: Sequence[float], begin: float, end: float) -> Iterable[tuple[float, float]]:
    within = [begin, *(at for at in times if begin <= at < end), end]
    return pairwise(within)


def drill() -> int:
    """Run it; 0 if every vote was found and the system recovered from every kill."""
    killer = choose_killer()
    victims = tuple(os.environ.get("VICTIMS", "").split()) or killer.victims
    killer.check(victims)
    seconds = number("FIRST_SECONDS", FIRST_SECONDS) + number("CALM_SECONDS", CALM_SECONDS) * len(victims)
    users = int(number("USERS", USERS))
    print(f"the drill: {users} users, about {seconds:.0f} s; kill -9 of {', '.join(victims)}", flush=True)
    with Load(users, seconds) as load:
        kills = _kill_one_by_one(killer, victims, load) if load.wait_for_users() else []
        end = time.time()
        folder, result = load.end()
    return _conclude(folder, result, kills, end)


def _kill_one_by_one(killer: Killer, victims: Sequence[str], load: Load) -> list[tuple[str, float]]:
    """Kill each victim; returns them with the times of their kills."""
    kills: list[tuple[str, float]] = []
    result_url = target().result_url
    time.sleep(number("FIRST_SECONDS", FIRST_SECONDS))
    for victim in victims:
        if load.has_ended:
            break
        kills.append((victim, time.time()))
        print(f"  {killer.kill(victim)}", flush=True)
        wait_for_recovery(result_url, since=time.time())
        time.sleep(number("CALM_SECONDS", CALM_SECONDS))
    return kills


def wait_for_recovery(result_url: str, *, since: float) -> None:
    """Wait until the dashboard has a vote that was cast after the kill, however busy the machine is."""

    def has_recovered() -> bool:
        as_of = client.get(f"{result_url}/api/tally").json()["as_of"]
        return bool(as_of) and datetime.fromisoformat(as_of).timestamp() > since

    with httpx.Client(timeout=3, verify=False) as client, suppress(TooLate):
        eventually(has_recovered, within=RECOVERY_SECONDS, despite=(httpx.HTTPError, ValueError, KeyError))


def _conclude(folder: Path, result: dict[str, Any], kills: Sequence[tuple[str, float]], end: float) -> int:
    events = read_events(folder)
    # The load stops at the end, and its last answers come one by one: what happens then says nothing about an outage.
    times = [*kills, ("", min(end, max(events.accepted, default=end)))]
    outages = [outage(victim, at, until, events) for (victim, at), (_, until) in pairwise(times)]
    (folder / "outages.json").write_text(json.dumps([asdict(one) for one in outages], indent=2) + "\n")
    print("\nWhat voters and viewers noticed:", *(one.in_words() for one in outages), sep="\n")
    say_audit(result["audit"], folder)
    recovered = all(one.recovered_seconds is not None for one in outages)
    return 0 if result["audit"]["ok"] and recovered and outages else 1


def say_audit(audit: dict[str, Any], folder: Path) -> None:
    """What became of the votes, and where to read more."""
    print(f"\nAudit: {'every vote was found' if audit['ok'] else 'FAILED'}")
    names = ("accepted", "refused", "in_doubt", "voters", "confirmed", "lost", "doubled", "reverted", "undecided")
    print("  " + ", ".join(f"{audit[name]:,} {name.replace('_', ' ')}" for name in names if name in audit))
    print(*(f"  wrong: {problem}\n" for problem in audit["problems"]), sep="", end="")
    print(f"the run: {shown(folder)}")

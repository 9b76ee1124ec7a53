"""The drill: votes are cast while parts are killed and paused, and then every vote is looked for.

`python -m proof --kills 30` starts a system of its own. The exit code is 0 if every vote was found, 1 if not.
"""

import argparse
import asyncio
import random
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx

from common.settings import Settings
from proof import ProofError
from proof.audit import Baseline, audit, judge_answers, judge_history, judge_numbers
from proof.browser import Browser
from proof.faults import FaultInjector, plan
from proof.ledger import Ledger, Outcome, open_ledger, read_ledger
from proof.register import read_register
from proof.state import Patience, keep_history, read_history, read_state
from proof.system import FAKETIME, PROJECT, SECOND, DrillSystem, drill_system
from proof.voters import OPTIONS, all_voters

FOLDER = PROJECT / ".data" / "drill"
# So small that batches are full after every pause and the next one is read ahead: kills hit that as well.
BATCH_SIZE = 4
PATIENCE = Patience(drain_seconds=60.0, dashboard_seconds=15.0)
NOTHING = Baseline(last_id=0, total=0, settled=0, rejected=0)


@dataclass(frozen=True)
class Orders:
    """The command line."""

    kills: int
    votes_between: int
    seed: int


def main(argv: Sequence[str]) -> int:
    """Run one drill; returns the exit code."""
    orders = _orders(argv)
    folder = FOLDER / f"{time.strftime('%Y%m%d-%H%M%S')}-{orders.seed}"
    say(f"The drill: {orders.kills} kills, and pauses, of a system of its own with two vote services. Ctrl-C ends it.")
    if not FAKETIME:
        say("All parts share one clock: libfaketime is not installed (Debian, Ubuntu: apt install faketime).")
    try:
        options = {f"OPTION_{key.upper()}": f"Option {key.upper()}" for key in OPTIONS}
        with drill_system(folder, {"BATCH_SIZE": str(BATCH_SIZE), **options}) as system:
            problems = asyncio.run(_drill(orders, system, folder))
    except (AssertionError, ProofError) as error:
        problems = [str(error)]
    except KeyboardInterrupt:
        say("Interrupted: nothing was checked.")
        shutil.rmtree(folder, ignore_errors=True)
        return 130
    if problems:
        _tell_what_to_do(problems, orders, folder)
        return 1
    say("", "PASSED: no vote was lost, none was counted twice, none came back.")
    shutil.rmtree(folder)
    return 0


def say(*lines: str) -> None:
    """Print at once."""
    print(*lines, sep="\n", flush=True)


def _orders(argv: Sequence[str]) -> Orders:
    parser = argparse.ArgumentParser(prog="python -m proof", description=__doc__)
    parser.add_argument("--kills", type=int, default=30, help="how many processes to kill (default: 30)")
    parser.add_argument(
        "--votes-between", type=int, default=300, help="at most so many votes between two kills (default: 300)"
    )
    parser.add_argument("--seed", type=int, default=None, help="repeats the order and the pauses of another drill")
    known = parser.parse_args(argv)
    seed = random.randrange(1_000_000) if known.seed is None else known.seed
    return Orders(known.kills, known.votes_between, seed)


async def _drill(orders: Orders, system: DrillSystem, folder: Path) -> list[str]:
    facts = system.facts()
    services = {name: facts.urls[name] for name in ("vote", SECOND)}
    await _check_ballots(services)
    await keep_history(facts.database_url)
    path = folder / "ledger-drill.jsonl"
    with open_ledger(path) as ledger:
        rng = random.Random(orders.seed)
        injector = FaultInjector(system, ledger, rng, say)
        faults = plan(orders.kills, rng)
        stop = asyncio.Event()
        voters = [asyncio.create_task(voter) for voter in all_voters(services, ledger, orders.seed, stop)]
        try:
            await asyncio.to_thread(injector.carry_out, faults, most_votes_between=orders.votes_between)
        finally:
            injector.stop()
            stop.set()
            await asyncio.gather(*voters)
        _sum_up(ledger, injector)
    return await _judge(system, folder, path)


async def _judge(system: DrillSystem, folder: Path, path: Path) -> list[str]:
    """Everything that went wrong, in words."""
    found = await read_state(system.facts(), NOTHING, folder, PATIENCE)
    history = await read_history(system.facts().database_url, folder / "history.csv")
    casts = read_ledger(path)
    # parts may have clocks of their own
    report = audit(read_register(folder), NOTHING, found, clocks_seconds=float("inf"))
    accepted = sorted(cast.answered_at for cast in casts if cast.outcome is Outcome.ACCEPTED)
    gap = max((later - earlier for earlier, later in pairwise(accepted)), default=0.0)
    names = ("confirmed", "lost", "doubled", "reverted", "undecided")
    say(
        f"longest   {gap:.1f} s without an accepted vote",
        f"voters    {', '.join(f'{getattr(report, name):,} {name}' for name in names)}",
    )
    limit = Settings.model_fields["limit_per_voter"].default
    return [
        *report.problems,
        *judge_history(casts, history),
        *judge_numbers(casts),
        *judge_answers(casts, limit_per_voter=limit),
    ]


async def _check_ballots(services: Mapping[str, str]) -> None:
    """Without numbers on the ballots, the order of a browser's votes would be left to chance."""
    async with httpx.AsyncClient(timeout=PATIENCE.dashboard_seconds) as client:
        for name, url in services.items():
            if Browser().read((await client.get(url)).text) is None:
                raise ProofError(f"the ballot page of {name} has no number")


def _sum_up(ledger: Ledger, injector: FaultInjector) -> None:
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(ledger.outcomes.items()))
    say("", f"votes     {ledger.sent:,} sent: {outcomes}")
    for name, victims in (("kills", injector.killed), ("pauses", injector.paused)):
        each = ", ".join(f"{victim} {count}" for victim, count in sorted(victims.items()))
        say(f"{name:<9} {victims.total()}: {each}")


def _tell_what_to_do(problems: Sequence[str], orders: Orders, folder: Path) -> None:
    say(
        "",
        "FAILED:",
        *(f"  {problem}" for problem in problems),
        "",
        f"What the voters were told, the logs and the data are kept in {folder}.",
        "Look for a voter's votes in ledger-drill.jsonl, and for what its row showed in history.csv.",
        f"To repeat the same kills: .venv/bin/python -m proof --kills {orders.kills} --seed {orders.seed}",
    )


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main(sys.argv[1:]))

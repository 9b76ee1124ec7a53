"""Runs the drill: `python -m tests.drill --kills 30`. Exit code 0 if every vote was found, 1 if not."""

import argparse
import asyncio
import random
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.drill.audit import audit
from tests.drill.killer import Killer
from tests.drill.ledger import Ledger, open_ledger, read_ledger
from tests.drill.looking import look
from tests.drill.plan import plan
from tests.drill.voters import OPTIONS, all_voters
from tests.system import PROJECT, System, running_system

FOLDER = PROJECT / ".data" / "drill"
# So few that batches are full after every pause, and the next one is read ahead: the worker dies with that as well.
BATCH_SIZE = 4


@dataclass(frozen=True)
class Orders:
    """What was asked for."""

    kills: int
    votes_between: int
    seed: int


def main(argv: Sequence[str]) -> int:
    """Run one drill; returns the exit code."""
    orders = _orders(argv)
    folder = FOLDER / f"{time.strftime('%Y%m%d-%H%M%S')}-{orders.seed}"
    say(f"the drill: {orders.kills} kills, --seed {orders.seed}")
    try:
        options = {f"OPTION_{key.upper()}": f"Option {key.upper()}" for key in OPTIONS}
        with running_system(folder, {"BATCH_SIZE": str(BATCH_SIZE), **options}) as system:
            problems = asyncio.run(_drill(orders, system, folder / "ledger.jsonl"))
    except AssertionError as error:
        problems = [str(error)]
    except KeyboardInterrupt:
        say("interrupted: nothing was checked")
        shutil.rmtree(folder, ignore_errors=True)
        return 130
    if problems:
        say("FOUND WRONG:", *(f"  {problem}" for problem in problems), f"the ledger, the log and the data: {folder}")
        return 1
    say("nothing lost, nothing doubled, nothing brought back")
    shutil.rmtree(folder)
    return 0


def say(*lines: str) -> None:
    """To whoever watches, now."""
    print(*lines, sep="\n", flush=True)


def _orders(argv: Sequence[str]) -> Orders:
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--kills", type=int, default=30, help="how many processes to kill (default: 30)")
    parser.add_argument(
        "--votes-between", type=int, default=300, help="at most so many votes between two kills (default: 300)"
    )
    parser.add_argument("--seed", type=int, default=None, help="repeats the order and the pauses of another drill")
    known = parser.parse_args(argv)
    seed = random.randrange(1_000_000) if known.seed is None else known.seed
    return Orders(known.kills, known.votes_between, seed)


async def _drill(orders: Orders, system: System, path: Path) -> list[str]:
    began = time.monotonic()
    with open_ledger(path) as ledger:
        rng = random.Random(orders.seed)
        killer = Killer(system, ledger, rng, say)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as voters:
            for voter in all_voters(system.facts().vote_url, ledger, orders.seed, stop):
                voters.create_task(voter)
            await killer.carry_out(plan(orders.kills, rng), most_votes_between=orders.votes_between)
            stop.set()
        await killer.all_ready()
        found = await look(system.facts())
    casts = read_ledger(path)
    _sum_up(ledger, killer, voters=len(found.votes), seconds=time.monotonic() - began)
    return audit(casts, found)


def _sum_up(ledger: Ledger, killer: Killer, *, voters: int, seconds: float) -> None:
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(ledger.outcomes.items()))
    victims = ", ".join(f"{victim} {count}" for victim, count in sorted(killer.killed.items()))
    say(
        f"votes:   {ledger.sent:,} sent by {voters:,} voters in {seconds:.0f} s: {outcomes}",
        f"kills:   {killer.killed.total()}: {victims}",
        f"longest: {ledger.longest_gap:.1f} s without an accepted vote; {ledger.slowest_answer:.1f} s for an answer",
    )


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main(sys.argv[1:]))

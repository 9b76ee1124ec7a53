"""`make codes N=50`: codes for a poll in which one person has one vote (`VOTER_CODES=on`), printed once.

Only their hashes are kept, in Redis. `--forget` voids every code that was ever issued.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence

from common.settings import Settings
from common.vote_queue import QueueUnavailable
from common.voter_roll import VoterRoll, new_code, voter_of_code
from local.errors import LocalError

DEFAULT, MOST = 20, 100_000


def codes(settings: Settings, redis_url: Callable[[], str], arguments: Sequence[str]) -> None:
    """Print new codes, or void all with `--forget`; raises LocalError."""
    count = None if arguments == ["--forget"] else wanted(arguments)
    try:
        if count is None:
            print(f"{asyncio.run(forget(redis_url())):,} codes are void")
            return
        issued, valid = asyncio.run(give_out(redis_url(), settings.secret_key, count))
    except QueueUnavailable as error:
        raise LocalError(str(error)) from error
    print("\n".join(issued))
    # Not to stdout, which may go to a file.
    print(f"{len(issued):,} new codes, {valid:,} are valid now; they can't be shown again", file=sys.stderr)
    if settings.voter_codes != "on":
        print("vote asks for them when it is started with VOTER_CODES=on", file=sys.stderr)


async def give_out(redis_url: str, secret_key: str, count: int) -> tuple[list[str], int]:
    """New codes, and how many are valid now."""
    codes = [new_code() for _ in range(count)]
    async with VoterRoll.open(redis_url) as roll:
        return codes, await roll.add([voter_of_code(secret_key, code) for code in codes])


async def forget(redis_url: str) -> int:
    """Void all codes; returns how many there were."""
    async with VoterRoll.open(redis_url) as roll:
        return await roll.clear()


def wanted(arguments: Sequence[str]) -> int:
    """How many codes these arguments ask for; raises LocalError."""
    text = " ".join(arguments) or str(DEFAULT)
    if text.isascii() and text.isdecimal() and len(text) <= len(str(MOST)) and 1 <= int(text) <= MOST:
        return int(text)
    raise LocalError(f"N={text}: give a whole number from 1 to {MOST:,}, e.g. make codes N=50")

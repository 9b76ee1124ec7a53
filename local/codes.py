"""`make codes N=50`: codes for a poll in which one person has one vote (`VOTER_CODES=on`), printed once.

Only hashes of them are kept, in Redis. `--forget` makes all codes void that were ever given out.
"""

import asyncio
import sys
from collections.abc import Sequence

from common.settings import Settings
from common.vote_queue import QueueUnavailable
from common.voter_roll import VoterRoll, new_code, voter_of_code
from local import running
from local.environment import is_set, load_settings
from local.errors import LocalError

USUAL, MOST = 20, 100_000


async def give_out(redis_url: str, secret_key: str, count: int) -> tuple[list[str], int]:
    """New codes, and how many are valid now."""
    codes = [new_code() for _ in range(count)]
    async with VoterRoll.open(redis_url) as roll:
        return codes, await roll.add([voter_of_code(secret_key, code) for code in codes])


async def forget(redis_url: str) -> int:
    """Make all codes void; returns how many there were."""
    async with VoterRoll.open(redis_url) as roll:
        return await roll.clear()


def wanted(argv: Sequence[str]) -> int:
    """How many codes these arguments ask for; raises LocalError."""
    text = " ".join(argv) or str(USUAL)
    if text.isascii() and text.isdecimal() and len(text) <= len(str(MOST)) and 1 <= int(text) <= MOST:
        return int(text)
    raise LocalError(f"N={text}: give a whole number from 1 to {MOST:,}, e.g. make codes N=50")


def main(argv: Sequence[str]) -> int:
    """Print codes, 20 or as many as the argument says, or make all void with `--forget`; returns the exit code."""
    try:
        count = 0 if argv == ["--forget"] else wanted(argv)
        settings = load_settings()
        if not count:
            print(f"{asyncio.run(forget(_redis_url(settings))):,} codes are void")
            return 0
        codes, valid = asyncio.run(give_out(_redis_url(settings), settings.secret_key, count))
    except (LocalError, QueueUnavailable) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(codes))
    # not among the codes, which may go to a file
    print(f"{len(codes):,} new codes, {valid:,} are valid now; they can't be shown again", file=sys.stderr)
    if settings.voter_codes != "on":
        print("vote asks for them when it is started with VOTER_CODES=on", file=sys.stderr)
    return 0


def _redis_url(settings: Settings) -> str:
    if is_set("REDIS_URL", "REDIS_HOST"):
        return settings.redis_address
    facts = running.read(settings.data_dir)
    if facts is None or not facts.redis_url:
        raise LocalError(f"Redis is not running in {settings.data_dir}: make up starts it")
    return facts.redis_url


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

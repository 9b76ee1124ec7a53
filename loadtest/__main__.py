"""Starts Locust against the system: `python -m loadtest ui`, `headless`, `master` or `worker`; the rest is settings.

USERS, SPAWN_RATE, RUN_TIME, SHAPE, MODEL, PROCESSES, LOADTEST_HOST, LOADTEST_PORT, MASTER, MASTER_PORT, EXPECT_WORKERS,
VOTE_URL, RESULT_URL, COMPOSE and LIMITS come from the environment. `start` and `stop` press the buttons of a page that
runs, `audit` looks at the system as it is, `compare` sets two runs side by side, `drill` kills parts under load.
"""

import sys
from collections.abc import Sequence
from pkgutil import resolve_name

from proof.errors import ProofError

# By name, with the module behind each, which is imported when it is used: a page that an edit restarts is back sooner.
COMMANDS = {
    "worker": "loadtest.lend:lend",
    "start": "loadtest.page:start",
    "stop": "loadtest.page:stop",
    "audit": "loadtest.audit_now:audit_now",
    "drill": "loadtest.drill:drill",
}


def main(argv: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    try:
        match argv:
            case ["ui" | "headless" | "master" as mode]:
                from loadtest.launch import start_locust

                start_locust(mode)
            case [name] if name in COMMANDS:
                return resolve_name(COMMANDS[name])()  # type: ignore[no-any-return]
            case ["compare", *runs]:
                from loadtest.compare import compare

                return compare(runs)
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except ProofError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

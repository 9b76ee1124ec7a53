"""Load-tests the system that runs: `python -m loadtest ui`, `headless`, `master` or `worker` start Locust.

`start` and `stop` press the buttons of a page that is already up, `audit` checks the system as it is now, `compare`
sets two runs side by side, and `drill` kills parts under load. Everything else is a setting: USERS, SPAWN_RATE,
RUN_TIME, SHAPE, MODEL, PROCESSES, LOADTEST_HOST, LOADTEST_PORT, MASTER, MASTER_PORT, EXPECT_WORKERS, VOTE_URL,
RESULT_URL, COMPOSE and LIMITS.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name

from proof import ProofError

# Imported when used: a page that restarts after an edit is back sooner.
COMMANDS = {
    "worker": "loadtest.launch:work_for_masters",
    "start": "loadtest.remote:start",
    "stop": "loadtest.remote:stop",
    "audit": "loadtest.audit:audit_now",
    "drill": "loadtest.drill:drill",
    "compare": "loadtest.compare:compare",
}


def main(argv: Sequence[str]) -> int:
    try:
        match argv:
            case ["ui" | "headless" | "master" | "worker-process" as mode]:
                return _become_locust(mode)
            case ["audit", "before" | "after" as moment, folder]:
                return _run("loadtest.audit:audit_run", moment, Path(folder))
            case ["compare", *runs]:
                return _run(COMMANDS["compare"], runs)
            case [name] if name in COMMANDS:
                return _run(COMMANDS[name])
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except ProofError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(command: str, *arguments: object) -> int:
    """Import a command, and run it; returns the exit code."""
    code: int = resolve_name(command)(*arguments)
    return code


def _become_locust(mode: str) -> int:
    """Loading Locust takes a second; a signal that arrives before Locust handles it ends the process quietly."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # A handler of our own: the first process of a container has no default one.
        signal.signal(number, lambda *_: os._exit(130))
    import locust  # noqa: F401  # patches the standard library, so it comes before anything that opens a socket

    from loadtest.launch import run_locust

    return run_locust(mode)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

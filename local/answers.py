"""Whether a server of ours answers: `python -m local.answers postgres` tells it by its exit code.

Meant for a probe every second or so, so it imports little and speaks to the servers by hand.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from local.environment import data_folder
from local.errors import LocalError
from local.sockets import POSTGRES_SOCKET, REDIS_SOCKET, ask, socket_folder

# Protocol 3.0, then pairs of texts, as PostgreSQL's "Message Formats" has it; the length in front counts itself.
_STARTUP_BODY = b"\x00\x03\x00\x00user\x00postgres\x00database\x00votes\x00\x00"
_STARTUP = (len(_STARTUP_BODY) + 4).to_bytes(4, "big") + _STARTUP_BODY
_CANNOT_CONNECT_NOW = b"C57P03\x00"


def postgres(sockets: Path) -> bool:
    """Whether PostgreSQL takes connections: not while it starts, recovers or stops."""
    answer = ask(sockets / POSTGRES_SOCKET, _STARTUP, farewell=b"X\x00\x00\x00\x04")
    return bool(answer) and _CANNOT_CONNECT_NOW not in answer


def redis(sockets: Path) -> bool:
    """Whether Redis answers a PING, which it does once its data is loaded."""
    return ask(sockets / REDIS_SOCKET, b"PING\r\n").startswith(b"+PONG")


ANSWERS: Mapping[str, Callable[[Path], bool]] = {"postgres": postgres, "redis": redis}


def main(argv: Sequence[str]) -> int:
    """0 if the server of the data folder answers, 1 if it doesn't, 2 if there is no such server."""
    if len(argv) != 1 or argv[0] not in ANSWERS:
        print("name a server: python -m local.answers postgres (or redis)", file=sys.stderr)
        return 2
    try:
        if ANSWERS[argv[0]](socket_folder(data_folder())):
            return 0
        print(f"{argv[0]} does not answer in {data_folder()}", file=sys.stderr)
    except LocalError as error:
        print(error, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The load on the HTTP stages: wrk on a core of its own, in the name of many voters."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from bench.errors import BenchError
from bench.speed.place import HOST, Place
from vote.voter import Voter, VoterCookies, new_voter

SECRET_KEY = "a key for the benchmark only"
CONNECTIONS = 32
# Of ten requests nine come from voters who have voted before, each with cookies of its own, and one from a new voter.
RETURNING_VOTERS = 1800
NEW_VOTERS = 200
SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True)
class Request:
    """What every voter sends; `bodies` are taken in turn."""

    method: str
    path: str
    content_type: str = "-"
    bodies: Sequence[str] = ("-",)
    headers: Sequence[str] = ()


@dataclass(frozen=True)
class Load:
    """What wrk saw."""

    answers: int
    seconds: float
    failed: int  # no answer in time, a broken connection, or a status from 400 on
    p50: float  # milliseconds
    p99: float

    @property
    def rate(self) -> float:
        """Answers in a second."""
        return self.answers / self.seconds


def put_load(place: Place, port: int, request: Request, *, connections: int = CONNECTIONS, seconds: float) -> Load:
    """Put load on a server; raises BenchError when any answer is an error."""
    voters = place.folder / "voters"
    voters.write_text("".join(f"{line}\n" for line in _requests(request)), encoding="utf-8")
    said = place.run(
        [
            *("wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(SCRIPT)),
            *(f"http://{HOST}:{port}", "--"),
            *(request.method, request.path, request.content_type, str(voters), *request.headers),
        ],
        core=place.load_core,
        timeout=seconds + 30,
    )
    load = Load(**json.loads(said.splitlines()[-1]))
    if load.failed or not load.answers:
        raise BenchError(f"{load.failed} of {load.answers} answers were errors: look at the log in {place.folder}")
    return load


def _requests(request: Request) -> list[str]:
    """Cookies and body of each request, mixed as they would come."""
    bodies = cycle(request.bodies)
    signer = VoterCookies(SECRET_KEY)
    each = RETURNING_VOTERS // NEW_VOTERS
    lines = []
    for number in range(RETURNING_VOTERS + NEW_VOTERS):
        is_new = number % (each + 1) == each
        cookies = {} if is_new else signer.signed(Voter(new_voter().id, "a", number=1))
        lines += ["; ".join(f"{name}={value}" for name, value in cookies.items()) or "-", next(bodies)]
    return lines

"""HTTP: accepted votes and ballot pages a second, on one core, with wrk on another."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from redis import Redis

from bench.settings import HOST, BenchError
from bench.speed.place import Place
from bench.speed.stage import FIGURE, Contender, Measured, Stage
from vote.voter import Voter, VoterCookies, new_voter

CONNECTIONS = 32
WARM_UP_SECONDS = 1.0
SECRET_KEY = "a key for the benchmark only"
QUEUE = "votes"
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


FORM = Request("POST", "/", "application/x-www-form-urlencoded", ("vote=a", "vote=b"))
JSON = Request("POST", "/api/votes", "application/json", ('{"vote": "a"}', '{"vote": "b"}'))
BEHIND_PROXY = Request(JSON.method, JSON.path, JSON.content_type, JSON.bodies, ("X-Forwarded-For: 192.0.2.7",))
PAGE = Request("GET", "/")


@dataclass(frozen=True)
class Load:
    """What wrk saw."""

    answers: int
    seconds: float
    failed: int  # no answer in time, a broken connection, or a status from 400 on
    p50: float  # milliseconds
    p99: float


@dataclass(frozen=True)
class Server:
    """A module that serves, with its arguments and settings."""

    module: str
    arguments: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    keeps_votes: bool = True


VOTE = Server("vote", environ={"VOTE_PORT": "{port}", "SECRET_KEY": SECRET_KEY})
# As for voters from elsewhere: the limit of an address is counted, and high enough.
PROXIED = {"TRUSTED_PROXIES": "127.0.0.0/8", "LIMIT_PER_ADDRESS": "100000000"}
VOTE_BEHIND_PROXY = Server("vote", environ={**VOTE.environ, **PROXIED})
QUART_OK = Server("bench.speed.bare", ("quart", "{port}"), keeps_votes=False)
ASGI_OK = Server("bench.speed.bare", ("asgi", "{port}"), keeps_votes=False)
FLASK = Server(
    "gunicorn",
    ("--workers", "4", "--bind", f"{HOST}:{{port}}", "--no-control-socket", "bench.speed.flask_app:create_app()"),
)
FLOOR = 'Quart "ok" on Hypercorn'
ANCESTOR = "Flask under gunicorn, 4 workers"


def contender(
    server: Server, request: Request, *, connections: int = CONNECTIONS, fsync: str = "always", by_core: bool = True
) -> Contender:
    """A server under load; `by_core` is off where waiting is what is measured."""

    def measure(here: Place) -> Measured:
        with here.redis() as redis_url, Redis.from_url(redis_url) as console:
            console.config_set("appendfsync", fsync)
            with here.server(server.module, *server.arguments, REDIS_URL=redis_url, **server.environ) as running:
                put_load(here, running.port, request, connections, WARM_UP_SECONDS)
                before, busy = int(console.llen(QUEUE)), running.busy_seconds()
                load = put_load(here, running.port, request, connections, here.seconds)
                busy = running.busy_seconds() - busy
                if request.method == "POST" and server.keeps_votes:
                    check_arrived(load, int(console.llen(QUEUE)) - before, connections)
        return figures(load, busy, by_core=by_core)

    return measure


def put_load(here: Place, port: int, request: Request, connections: int, seconds: float) -> Load:
    """Put load on a server; raises BenchError when any answer is an error."""
    voters = here.folder / "voters"
    voters.write_text("".join(f"{line}\n" for line in _requests(request)), encoding="utf-8")
    output = here.shell.run(
        *("wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(SCRIPT)),
        *(f"http://{HOST}:{port}", "--"),
        *(request.method, request.path, request.content_type, str(voters), *request.headers),
        core=here.load_core,
        seconds=seconds + 30,
    )
    load = Load(**json.loads(output.splitlines()[-1]))
    if load.failed or not load.answers:
        raise BenchError(f"{load.failed} of {load.answers} answers were errors: see {here.shell.log}")
    return load


def figures(load: Load, busy: float, *, by_core: bool) -> dict[str, float]:
    """What a round says. By the core: in a second of the server's processor time, as on an idle machine."""
    by_clock = load.answers / load.seconds
    rate = load.answers / busy if by_core and busy else by_clock
    return {FIGURE: rate, "by the clock": by_clock, "busy": busy / load.seconds, "p50 ms": load.p50, "p99 ms": load.p99}


def check_arrived(load: Load, arrived: int, connections: int) -> None:
    """Raise BenchError unless Redis has a vote for every answer.

    Votes that were under way at the end of the warm-up, or are at the end, may be there as well.
    """
    if not load.answers <= arrived <= load.answers + 2 * connections:
        raise BenchError(f"{load.answers} votes were answered, and {arrived} are in Redis: look at what was refused")


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


def _stage(
    name: str, what: str, goal: float, against: str, request: Request, limit: Server, *more: tuple[str, Contender]
) -> Stage:
    contenders = {"vote": contender(VOTE, request), against: contender(limit, request), **dict(more)}
    unit = "votes/s" if request.method == "POST" else "pages/s"
    return Stage(name, what, against, unit, goal, "at least", contenders, needs=("wrk",))


STAGES = (
    _stage("post-form", "votes by form, POST /", 0.90, FLOOR, FORM, QUART_OK),
    _stage(
        *("post-json", "votes by POST /api/votes", 0.90, FLOOR, JSON, QUART_OK),
        ('ASGI "ok" on Hypercorn', contender(ASGI_OK, JSON)),
        ("vote, counting an address behind a proxy", contender(VOTE_BEHIND_PROXY, BEHIND_PROXY)),
    ),
    _stage("post-form-flask", "votes by form, POST /", 6, ANCESTOR, FORM, FLASK),
    _stage("post-json-flask", "votes by POST /api/votes", 6, ANCESTOR, JSON, FLASK),
    _stage("page", "ballot pages, GET /", 0.75, FLOOR, PAGE, QUART_OK),
    Stage(
        name="fsync",
        what="appendfsync always, 64 voters at once",
        against="everysec",
        unit="votes/s by the clock",
        goal=0.7,
        sense="at least",
        contenders={
            fsync: contender(VOTE, JSON, connections=64, fsync=fsync, by_core=False) for fsync in ("always", "everysec")
        },
        needs=("wrk",),
    ),
)

"""HTTP: accepted votes and ballot pages a second, on one core."""

from dataclasses import dataclass

from redis import Redis

from bench.errors import BenchError
from bench.speed.place import Place
from bench.speed.stage import FIGURE, Contender, Measured, Stage
from bench.speed.stages.load import CONNECTIONS, Load, Request, put_load
from bench.speed.stages.web_servers import Server, flask, ok, vote

WARM_UP_SECONDS = 1.0
QUEUE = "votes"
# As for voters from elsewhere: the limit of an address is counted, and high enough.
PROXY = {"TRUSTED_PROXIES": "127.0.0.0/8", "LIMIT_PER_ADDRESS": "100000000"}

FORM = Request("POST", "/", "application/x-www-form-urlencoded", ("vote=a", "vote=b"))
JSON = Request("POST", "/api/votes", "application/json", ('{"vote": "a"}', '{"vote": "b"}'))
BEHIND_PROXY = Request(JSON.method, JSON.path, JSON.content_type, JSON.bodies, ("X-Forwarded-For: 192.0.2.7",))
PAGE = Request("GET", "/")


@dataclass(frozen=True)
class Round:
    """How a round goes."""

    request: Request
    is_vote: bool
    connections: int = CONNECTIONS
    fsync: str = "always"
    by_core: bool = True  # else by the clock, where waiting is what is measured


def _contender(server: Server, how: Round) -> Contender:
    def measure(place: Place) -> Measured:
        with place.redis() as redis, Redis.from_url(redis.url) as console:
            console.config_set("appendfsync", how.fsync)
            with server(place, redis.url) as running:
                put_load(place, running.port, how.request, connections=how.connections, seconds=WARM_UP_SECONDS)
                before, busy = _waiting(console), running.busy_seconds()
                load = put_load(place, running.port, how.request, connections=how.connections, seconds=place.seconds)
                busy = running.busy_seconds() - busy
                if how.is_vote:
                    check_arrived(load, _waiting(console) - before, how.connections)
        return figures(load, busy, by_core=how.by_core)

    return measure


def figures(load: Load, busy: float, *, by_core: bool) -> dict[str, float]:
    """What a round says. By the core: in a second of the server's processor time, as on a machine with nothing else."""
    by_clock = load.rate
    rate = load.answers / busy if by_core and busy else by_clock
    return {FIGURE: rate, "by the clock": by_clock, "busy": busy / load.seconds, "p50 ms": load.p50, "p99 ms": load.p99}


def check_arrived(load: Load, arrived: int, connections: int) -> None:
    """Raise BenchError unless Redis has a vote for every answer.

    Those that were under way at the end of the warm-up, or are at the end, may be in it as well.
    """
    if not load.answers <= arrived <= load.answers + 2 * connections:
        raise BenchError(f"{load.answers} votes were answered, and {arrived} are in Redis: look at what was refused")


def _waiting(console: Redis) -> int:
    return int(console.llen(QUEUE))


VOTE_BY_FORM = _contender(vote(), Round(FORM, is_vote=True))
VOTE_BY_API = _contender(vote(), Round(JSON, is_vote=True))
FLOOR = 'Quart "ok" on Hypercorn'
ANCESTOR = "Flask under gunicorn, 4 workers"

STAGES = (
    Stage(
        name="post-form",
        what="votes by form, POST /",
        against=FLOOR,
        unit="votes/s",
        goal=0.90,
        sense="at least",
        contenders={"vote": VOTE_BY_FORM, "floor": _contender(ok("quart"), Round(FORM, is_vote=False))},
        needs=("wrk",),
    ),
    Stage(
        name="post-json",
        what="votes by POST /api/votes",
        against=FLOOR,
        unit="votes/s",
        goal=0.90,
        sense="at least",
        contenders={
            "vote": VOTE_BY_API,
            "floor": _contender(ok("quart"), Round(JSON, is_vote=False)),
            'ASGI "ok" on Hypercorn': _contender(ok("bare"), Round(JSON, is_vote=False)),
            "vote, counting an address behind a proxy": _contender(vote(**PROXY), Round(BEHIND_PROXY, is_vote=True)),
        },
        needs=("wrk",),
    ),
    Stage(
        name="post-form-flask",
        what="votes by form, POST /",
        against=ANCESTOR,
        unit="votes/s",
        goal=6,
        sense="at least",
        contenders={"vote": VOTE_BY_FORM, "flask": _contender(flask, Round(FORM, is_vote=True))},
        needs=("wrk",),
    ),
    Stage(
        name="post-json-flask",
        what="votes by POST /api/votes",
        against=ANCESTOR,
        unit="votes/s",
        goal=6,
        sense="at least",
        contenders={"vote": VOTE_BY_API, "flask": _contender(flask, Round(JSON, is_vote=True))},
        needs=("wrk",),
    ),
    Stage(
        name="page",
        what="ballot pages, GET /",
        against=FLOOR,
        unit="pages/s",
        goal=0.75,
        sense="at least",
        contenders={
            "vote": _contender(vote(), Round(PAGE, is_vote=False)),
            "floor": _contender(ok("quart"), Round(PAGE, is_vote=False)),
        },
        needs=("wrk",),
    ),
    Stage(
        name="fsync",
        what="appendfsync always, 64 voters at once",
        against="everysec",
        unit="votes/s by the clock",
        goal=0.7,
        sense="at least",
        contenders={
            fsync: _contender(vote(), Round(JSON, is_vote=True, connections=64, fsync=fsync, by_core=False))
            for fsync in ("always", "everysec")
        },
        needs=("wrk",),
    ),
)

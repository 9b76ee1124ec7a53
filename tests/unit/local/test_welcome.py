"""What `make up` tells: where the pages are, here and for phones, and of its servers only what matters."""

from collections.abc import Callable, Mapping

import pytest

from common.settings import Settings
from local import postgres, redis, up
from local.ready import welcome

URLS = {
    "postgres": "postgresql:///votes",
    "redis": "unix:///redis",
    "vote": "http://localhost:5000",
    "worker": "http://localhost:9100",
    "result": "http://localhost:5001",
}
PORTS = {"vote": 5000, "worker": 9100, "result": 5001}


def for_others(settings: Settings) -> list[Mapping[str, str]]:
    return list(up._for_others(settings, list(PORTS), PORTS))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A machine with these addresses in its networks."""
    return lambda *addresses: monkeypatch.setattr(up, "own_addresses", lambda: list(addresses))


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_who_listens_on_every_address_is_told_the_one_that_phones_need(machine: Callable[..., None], host: str) -> None:
    machine("192.0.2.7", "198.51.100.3")
    text = welcome(URLS, URLS, for_others(Settings(host=host)), seconds=1)

    here, others = text.split("for phones and other machines:")
    assert "vote at   http://localhost:5000" in here
    for address in ("192.0.2.7", "198.51.100.3"):
        assert f"vote at   http://{address}:5000" in others
        assert f"watch at  http://{address}:5001" in others
        assert f"look into http://{address}:5001/pipeline" in others
    assert "9100" not in text


def test_a_machine_with_nothing_but_ipv6_has_an_address_that_browsers_take(machine: Callable[..., None]) -> None:
    machine("fd00::2")

    assert for_others(Settings(host="::")) == [{"vote": "http://[fd00::2]:5000", "result": "http://[fd00::2]:5001"}]


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.7", "localhost"])
def test_who_listens_on_one_address_has_no_other_one(machine: Callable[..., None], host: str) -> None:
    machine("192.0.2.7")

    assert for_others(Settings(host=host)) == []


def test_without_a_network_there_is_nothing_to_tell_phones(machine: Callable[..., None]) -> None:
    machine()

    assert "phones" not in welcome(URLS, URLS, for_others(Settings(host="0.0.0.0")), seconds=1)


def test_an_address_that_somebody_has_set_is_the_one_for_others(machine: Callable[..., None]) -> None:
    machine("192.0.2.7")
    settings = Settings(host="0.0.0.0", vote_url="https://vote.example.org/")

    assert "    vote at   https://vote.example.org\n    watch at  http://192.0.2.7:5001\n" in welcome(
        URLS, URLS, for_others(settings), seconds=1
    )


def test_prometheus_is_in_the_welcome_where_it_runs() -> None:
    assert "graphs at http://localhost:9090" in welcome(URLS, URLS | {"prometheus": "http://localhost:9090"}, seconds=1)
    assert "graphs" not in welcome(URLS, URLS, seconds=1)


# What Redis 7.0 writes when it starts with data, and when it stops.
REDIS = """\
1:C 25 Nov 2026 03:49:22.001 # oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo
1:C 25 Nov 2026 03:49:22.001 # Redis version=7.0.15, bits=64, commit=00000000, modified=0, pid=1, just started
1:C 25 Nov 2026 03:49:22.001 # Configuration loaded
1:M 25 Nov 2026 03:49:22.001 * monotonic clock: POSIX clock_gettime
1:M 25 Nov 2026 03:49:22.001 * Running mode=standalone, port=0.
1:M 25 Nov 2026 03:49:22.001 # Server initialized
1:M 25 Nov 2026 03:49:22.001 # WARNING Memory overcommit must be enabled!
1:M 25 Nov 2026 03:49:22.002 * Reading RDB base file on AOF loading...
1:M 25 Nov 2026 03:49:22.002 * Loading RDB produced by version 7.0.15
1:M 25 Nov 2026 03:49:22.002 * RDB age 7 seconds
1:M 25 Nov 2026 03:49:22.002 * RDB memory usage when created 0.84 Mb
1:M 25 Nov 2026 03:49:22.002 * RDB is base AOF
1:M 25 Nov 2026 03:49:22.002 * Done loading RDB, keys loaded: 0, keys expired: 0.
1:M 25 Nov 2026 03:49:22.002 * DB loaded from base file appendonly.aof.1.base.rdb: 0.000 seconds
1:M 25 Nov 2026 03:49:22.002 * DB loaded from append only file: 0.000 seconds
1:M 25 Nov 2026 03:49:22.002 * Opening AOF incr file appendonly.aof.1.incr.aof on server start
1:M 25 Nov 2026 03:49:22.002 * The server is now ready to accept connections at /data/run/redis.sock
1:signal-handler (1795578636) Received SIGTERM scheduling shutdown...
1:M 25 Nov 2026 03:49:28.002 # User requested shutdown...
1:M 25 Nov 2026 03:49:28.002 * Calling fsync() on the AOF file.
1:M 25 Nov 2026 03:49:28.002 * Removing the unix socket file.
1:M 25 Nov 2026 03:49:28.002 # Redis is now ready to exit, bye bye...
"""
POSTGRES = """\
LOG:  starting PostgreSQL 16.4 on x86_64-pc-linux-gnu, compiled by gcc, 64-bit
LOG:  listening on Unix socket "/data/run/.s.PGSQL.5432"
LOG:  database system was shut down at 2026-11-25 03:49:28 UTC
LOG:  database system is ready to accept connections
LOG:  received fast shutdown request
LOG:  aborting any active transactions
LOG:  shutting down
LOG:  database system is shut down
"""


@pytest.mark.parametrize(
    ("tidy", "log", "first"),
    [(redis._tidy, REDIS, "starting Redis 7.0.15"), (postgres._tidy, POSTGRES, "starting PostgreSQL 16.4")],
)
def test_of_a_start_and_a_stop_two_lines_matter(tidy: Callable[[str], str | None], log: str, first: str) -> None:
    assert [line for line in map(tidy, log.splitlines()) if line is not None] == [first, "ready"]


@pytest.mark.parametrize(
    ("tidy", "line"),
    [
        (redis._tidy, "1:M 25 Nov 2026 03:49:22.002 # Bad file format reading the append only file appendonly.aof"),
        (redis._tidy, "1:M 25 Nov 2026 03:49:22.002 # Can't open the append-only file: Permission denied"),
        (redis._tidy, "1:M 25 Nov 2026 03:49:22.002 * Asynchronous AOF fsync is taking too long (disk is busy?)."),
        (redis._tidy, "*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***"),
        (postgres._tidy, "FATAL:  terminating connection due to administrator command"),
        (postgres._tidy, "LOG:  database system was not properly shut down; automatic recovery in progress"),
        (postgres._tidy, "PANIC:  could not write to file: No space left on device"),
    ],
)
def test_what_somebody_must_know_is_not_left_out(tidy: Callable[[str], str | None], line: str) -> None:
    assert (tidy(line) or "").split(" ", 1)[-1] in line
    assert tidy(line)

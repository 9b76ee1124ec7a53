"""Which PostgreSQL and which Redis are run, and what of their output is shown."""

from collections.abc import Callable
from pathlib import Path

import pytest

from local import postgres, redis
from local.errors import LocalError

ON_PATH = postgres.Installation(Path("/usr/bin"), 15)
WHEEL = postgres.Installation(Path("/wheel"), 18)
DATA = Path("/project/.data")


def test_the_first_postgresql_found_makes_new_data() -> None:
    assert postgres.choose([ON_PATH, WHEEL], None, data=DATA) == ON_PATH


def test_data_is_run_by_the_version_that_made_it() -> None:
    assert postgres.choose([ON_PATH, WHEEL], 18, data=DATA) == WHEEL


def test_data_that_no_version_here_can_read_is_told_in_one_line() -> None:
    with pytest.raises(LocalError, match="was made by PostgreSQL 17, but here is only 15 and 18: put PostgreSQL 17 on"):
        postgres.choose([ON_PATH, WHEEL], 17, data=DATA)


def test_a_machine_without_postgresql_is_told_what_to_install() -> None:
    with pytest.raises(LocalError, match="install PostgreSQL 14 or newer"):
        postgres.choose([], None, data=DATA)


def test_an_old_redis_is_not_given_the_data_of_a_new_one(tmp_path: Path) -> None:
    """Redis 6 would not see it, and start empty: accepted votes would be gone."""
    old, new = redis.Installation(Path("/old"), (6, 2)), redis.Installation(Path("/new"), (7, 2))
    assert redis.choose([old, new], data=tmp_path) == old
    (tmp_path / "appendonlydir").mkdir()
    assert redis.choose([old, new], data=tmp_path) == new
    with pytest.raises(LocalError, match="was made by Redis 7"):
        redis.choose([old], data=tmp_path)


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

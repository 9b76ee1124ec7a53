"""Which PostgreSQL and which Redis are run."""

from pathlib import Path

import pytest

from local import postgres_choice, redis
from local.errors import LocalError

ON_PATH = postgres_choice.Installation(Path("/usr/bin"), 15)
WHEEL = postgres_choice.Installation(Path("/wheel"), 18)
DATA = Path("/project/.data")


def test_the_first_postgresql_found_makes_new_data() -> None:
    assert postgres_choice.choose([ON_PATH, WHEEL], None, data=DATA) == ON_PATH


def test_data_is_run_by_the_version_that_made_it() -> None:
    assert postgres_choice.choose([ON_PATH, WHEEL], 18, data=DATA) == WHEEL


def test_data_that_no_version_here_can_read_is_told_in_one_line() -> None:
    with pytest.raises(LocalError, match="was made by PostgreSQL 17, but here is only 15 and 18: put PostgreSQL 17 on"):
        postgres_choice.choose([ON_PATH, WHEEL], 17, data=DATA)


def test_a_machine_without_postgresql_is_told_what_to_install() -> None:
    with pytest.raises(LocalError, match="install PostgreSQL 14 or newer"):
        postgres_choice.choose([], None, data=DATA)


def test_an_old_redis_is_not_given_the_data_of_a_new_one(tmp_path: Path) -> None:
    """Redis 6 would not see it, and start empty: accepted votes would be gone."""
    old, new = redis.Installation(Path("/old"), (6, 2)), redis.Installation(Path("/new"), (7, 2))
    assert redis.choose([old, new], data=tmp_path) == old
    (tmp_path / "appendonlydir").mkdir()
    assert redis.choose([old, new], data=tmp_path) == new
    with pytest.raises(LocalError, match="was made by Redis 7"):
        redis.choose([old], data=tmp_path)


def test_the_log_of_redis_is_shortened_to_what_it_says() -> None:
    program = redis.redis_program(Path("/data"), Path("/sockets"))
    assert program.tidy("12:M 22 Nov 2026 16:09:12.345 * Ready to accept connections") == "Ready to accept connections"
    assert program.tidy("12:C 22 Nov 2026 16:09:12.345 # oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo") is None

"""The audit of our packages: what was not asked about is no pass."""

from typing import Any

from local.audit import UNKNOWN, UNSAFE, judge, lock_files

SAFE: dict[str, Any] = {"name": "quart", "version": "1", "vulns": []}
UNASKED: dict[str, Any] = {"name": "asyncpg", "skip_reason": "not found"}
FLAWED: dict[str, Any] = {"name": "h11", "version": "0.1", "vulns": [{"id": "CVE-1", "fix_versions": ["0.2"]}]}


def test_packages_without_flaws_pass() -> None:
    assert judge([SAFE, SAFE])[1] == 0


def test_a_flaw_is_named_with_the_version_that_mends_it() -> None:
    lines, code = judge([SAFE, FLAWED, UNASKED])

    assert code == UNSAFE
    assert "h11 0.1: CVE-1, mended in 0.2" in lines


def test_what_could_not_be_asked_about_is_said_and_is_no_pass() -> None:
    lines, code = judge([SAFE, UNASKED])

    assert code == UNKNOWN
    assert "asyncpg" in lines[-1]


def test_a_service_that_does_not_answer_is_no_pass() -> None:
    assert judge([])[1] == UNKNOWN
    assert judge([UNASKED])[1] == UNKNOWN


def test_every_lock_file_is_audited() -> None:
    assert "requirements-dev.txt" in {file.name for file in lock_files()}
    assert {"vote", "worker", "result", "local", "loadtest", "docker"} <= {file.parent.name for file in lock_files()}

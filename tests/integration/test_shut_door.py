"""The whole system with its door shut: production, least rights everywhere, codes, and no secret in any log."""

import asyncio
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.codes import forget, give_out
from tests.integration.guarded_redis import guarded_redis, has_users
from tests.integration.test_least_rights import as_role, make_schema
from tests.services import PROJECT, service
from tests.waiting import eventually

KEY = "only-this-test-knows-this-key"
BAD_PASSWORD = "s3cret-p4ssword"


def test_a_vote_with_a_code_is_counted_with_least_rights_and_no_log_shows_a_secret(
    empty_database: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    done = make_schema(empty_database)
    assert done.returncode == 0, done.stderr
    with ExitStack() as stack:
        redis = stack.enter_context(guarded_redis(has_users(), tmp_path / "redis"))
        (code, _), _ = asyncio.run(give_out(redis.urls["owner"], KEY, 2))
        ready = {}
        for name in ("vote", "worker", "result"):
            # vote has no database, not even an address of one
            url = "postgresql://nobody@/nothing" if name == "vote" else as_role(empty_database, f"tallyho_{name}")
            settings: Any = {"TALLYHO_ENV": "production", "SECRET_KEY": KEY, "VOTER_CODES": "on", "LOG_LEVEL": "debug"}
            running = service(name, redis_url=redis.urls[name], database_url=url, **settings)
            ready[name] = stack.enter_context(running)
        for each in ready.values():
            each.until_ready()
        assert _cast(ready["vote"].url, "a", "") == 403
        assert _cast(ready["vote"].url, "a", "7Q2M-0XKV-9RTH") == 403
        assert _cast(ready["vote"].url, "a", code) == 202
        assert _cast(ready["vote"].url, "b", code.lower()) == 202
        eventually(lambda: _tally(ready["result"].url) == {"a": 0, "b": 1}, within=20, saying="the vote is counted")
        assert asyncio.run(forget(redis.urls["owner"])) == 2
        assert _cast(ready["vote"].url, "a", code) == 403
    log = "".join(capfd.readouterr())
    assert "votes_recorded" in log
    passwords = [re.sub(r"redis://\w+:(.*)@.*", r"\1", url) for url in redis.urls.values()]
    assert not [secret for secret in (KEY, code, *passwords) if secret in log]


def test_a_wrong_password_is_told_and_not_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    database = f"postgresql://tallyho_worker:{BAD_PASSWORD}@/votes?host={tmp_path}"
    with guarded_redis(has_users(), tmp_path / "redis") as redis:
        url = f"redis://vote:{BAD_PASSWORD}@{redis.place}"
        with (
            service("vote", redis_url=url) as vote,
            service("worker", redis_url=url, database_url=database) as worker,
        ):
            for each in (vote, worker):
                eventually(
                    lambda each=each: each.get("/readyz").status_code == 503,  # type: ignore[misc]
                    within=30,
                    despite=(httpx.TransportError,),
                )
            answer = vote.client.post(f"{vote.url}/api/votes", json={"vote": "a"})
            reports = vote.get("/readyz").text + worker.get("/readyz").text
    said = "".join(capfd.readouterr())
    assert answer.status_code == 503
    assert "password" in reports.lower() or "permission" in reports.lower()
    for text in (answer.text, reports, said):
        assert BAD_PASSWORD not in text


def test_production_does_not_start_with_the_key_that_everybody_knows(tmp_path: Path) -> None:
    started = _run_vote(tmp_path, TALLYHO_ENV="production")

    assert started.returncode == 1
    (line,) = started.stderr.splitlines()
    assert line.startswith("vote: SECRET_KEY: TALLYHO_ENV=production does not run with the development key")
    assert "openssl rand" in line


def test_the_development_key_is_warned_of_and_an_own_one_is_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for key, warned in (("", True), (KEY, False)):
        with service("vote", redis_url=f"unix://{tmp_path}/no.sock", SECRET_KEY=key) as vote:
            eventually(lambda: vote.get("/healthz").is_success, within=30, despite=(httpx.TransportError,))
        assert ("development_key_in_use" in capfd.readouterr().out) is warned


def _cast(url: str, option: str, code: str) -> int:
    return httpx.post(f"{url}/api/votes", json={"vote": option, "code": code}, timeout=10).status_code


def _tally(url: str) -> dict[str, int]:
    return {option["key"]: option["votes"] for option in httpx.get(f"{url}/api/tally").json()["options"]}


def _run_vote(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"REDIS_URL": f"unix://{folder}/no.sock", "SECRET_KEY": "", **settings}
    command = [sys.executable, "-m", "vote"]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=30
    )

"""What voters and viewers are told while a server is gone."""

from pathlib import Path

import httpx
import pytest

from common.vote_queue import VoteQueue
from local import servers
from tests.services import service
from tests.waiting import eventually, in_time

pytestmark = pytest.mark.platform

TOLD_WITHIN_SECONDS = 2.0


def test_without_redis_a_vote_is_refused_in_time_and_accepted_again_after(tmp_path: Path) -> None:
    with servers.redis(tmp_path) as redis, service("vote", redis_url=redis.url) as vote:
        vote.until_ready()
        assert httpx.post(f"{vote.url}/api/votes", json={"vote": "a"}).status_code == 202
        redis.kill()

        refused = in_time(
            lambda: httpx.post(f"{vote.url}/api/votes", json={"vote": "a"}, timeout=20), within=TOLD_WITHIN_SECONDS
        )
        assert refused.status_code == 503
        assert refused.headers["Retry-After"]
        assert vote.get("/readyz").json()["failing"]["redis"]
        assert vote.get("/healthz").status_code == 200
        assert vote.get("/").status_code == 200

        redis.start()
        vote.until_ready()
        assert httpx.post(f"{vote.url}/api/votes", json={"vote": "b"}).status_code == 202


async def test_without_the_database_the_tally_is_told_with_the_time_it_was_read(
    empty_database: str, postgres: servers.Server, redis: servers.Server, queue: VoteQueue
) -> None:
    with (
        service("worker", redis_url=redis.url, database_url=empty_database) as worker,
        service("result", redis_url=redis.url, database_url=empty_database) as result,
    ):
        worker.until_ready()
        result.until_ready()
        before = result.get("/api/tally").json()
        postgres.kill()
        try:
            eventually(lambda: result.get("/readyz").status_code == 503, within=20)
            first = result.get("/api/tally").json()
            second = result.get("/api/tally").json()
            assert first["read_at"] == second["read_at"] >= before["read_at"]
        finally:
            postgres.start()
        result.until_ready()
        eventually(lambda: result.get("/api/tally").json()["read_at"] > first["read_at"], within=20)


@pytest.mark.parametrize("name", ["vote", "worker", "result"])
def test_a_taken_port_ends_a_service_with_a_line_that_names_the_setting(
    name: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    nowhere = f"unix://{tmp_path}/redis.sock"
    with service(name, redis_url=nowhere) as first:
        eventually(lambda: first.get("/healthz").is_success, within=30, despite=(httpx.TransportError,))
        port = first.url.rsplit(":", 1)[1]
        with service(name, redis_url=nowhere, **{f"{name.upper()}_PORT": port}) as second:
            assert second.process.wait(30) == 1

    errors = capfd.readouterr().err
    assert f"set {name.upper()}_PORT to another port" in errors
    assert "Traceback" not in errors


def test_settings_that_can_not_be_understood_end_a_service_with_one_error(capfd: pytest.CaptureFixture[str]) -> None:
    with service("vote", redis_url="http://nonsense", LOG_LEVEL="loud") as vote:
        assert vote.process.wait(30) == 1

    errors = capfd.readouterr().err
    assert "REDIS_URL" in errors
    assert "LOG_LEVEL" in errors
    assert "Traceback" not in errors

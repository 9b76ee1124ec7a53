"""Start and Stop from outside the page, and the audit without a load."""

import signal

import asyncpg
import httpx
import pytest

from tests.loadtest.conftest import SIZE, LoadTest
from tests.loadtest.pages import until_there
from tests.waiting import eventually_async

pytestmark = pytest.mark.timeout(120)


async def test_a_test_is_started_followed_and_judged_from_outside(
    loadtest: LoadTest, page_settings: dict[str, str]
) -> None:
    page = await loadtest.start("ui", **page_settings)
    await until_there(page_settings)
    first = await loadtest.run("start", **SIZE, **page_settings)
    second = await loadtest.run("start", **SIZE, **page_settings, SHAPE="double-wave")
    loadtest.limits(vote_ms=0)
    third = await loadtest.run("start", **SIZE, **page_settings)
    page.send_signal(signal.SIGINT)
    await loadtest.end(page)

    assert (first.code, second.code) == (0, 0), first.output + second.output
    assert "every vote was found" in first.output
    assert "PASSED" in first.output
    assert "started: double-wave" in second.output
    assert third.code == 1
    assert "BROKEN  vote_p95_ms" in third.output
    assert len(list(loadtest.data.glob("loadtest/2*/result.json"))) == 3


async def test_finding_the_limit_says_at_its_start_how_long_it_takes(
    loadtest: LoadTest, page_settings: dict[str, str]
) -> None:
    process = await loadtest.start("headless", SHAPE="find-the-limit", **page_settings)
    assert process.stdout is not None
    first = await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    await loadtest.end(process)

    assert first.decode() == "find-the-limit takes about 3 minutes, until a limit breaks\n"


async def test_a_test_that_runs_is_not_started_twice_and_can_be_stopped(
    loadtest: LoadTest, page_settings: dict[str, str]
) -> None:
    page = await loadtest.start("ui", **page_settings)
    await until_there(page_settings)
    idle = await loadtest.run("stop", **page_settings)
    long = await loadtest.start("start", **{**SIZE, "RUN_TIME": "10m"}, **page_settings)
    await eventually_async(lambda: under_way(page_settings), within=40)
    twice = await loadtest.run("start", **SIZE, **page_settings)
    stopped = await loadtest.run("stop", **page_settings)
    followed = await loadtest.end(long)
    page.send_signal(signal.SIGINT)
    await loadtest.end(page)

    assert (idle.code, idle.output.strip()) == (0, "no test is running")
    assert twice.code == 1
    assert "a test is running" in twice.output
    assert stopped.code == 0, stopped.output
    assert "Audit: every vote was found" in followed.output


async def under_way(page_settings: dict[str, str]) -> bool:
    async with httpx.AsyncClient(timeout=5) as client:
        now = (await client.get(f"http://127.0.0.1:{page_settings['LOADTEST_PORT']}/run.json")).json()
        return bool(now["state"] == "running" and now["run"])


async def test_without_a_page_start_says_how_to_get_one(loadtest: LoadTest, page_settings: dict[str, str]) -> None:
    outcome = await loadtest.run("start", **SIZE, **page_settings)

    assert outcome.code == 1
    assert "make loadtest starts it" in outcome.output
    assert len(outcome.output.splitlines()) == 1


async def test_a_page_that_is_not_ours_is_told(loadtest: LoadTest, page_settings: dict[str, str]) -> None:
    outcome = await loadtest.run("start", **SIZE, **page_settings, LOADTEST_URL=page_settings["VOTE_URL"])

    assert outcome.code == 1
    assert "is not tallyho's load test" in outcome.output


async def test_the_audit_finds_the_last_load_test_and_what_was_taken_from_it(
    loadtest: LoadTest, page_settings: dict[str, str]
) -> None:
    run = await loadtest.run("headless", **SIZE, **page_settings)
    good = await loadtest.run("audit", **page_settings)
    connection = await asyncpg.connect(page_settings["DATABASE_URL"])
    try:
        last = await connection.fetchrow("DELETE FROM votes WHERE id = (SELECT max(id) FROM votes) RETURNING voter_id")
    finally:
        await connection.close()
    bad = await loadtest.run("audit", **page_settings)

    assert run.code == 0, run.output
    assert good.code == 0, good.output
    assert run.folder is not None
    assert f"{run.folder.name}: the votes of all" in good.output
    assert bad.code == 1
    assert last is not None
    assert f"lost: voter {last['voter_id']}" in bad.output
    assert not list(run.folder.glob("tmp*"))


async def test_a_load_test_of_emptied_votes_is_not_looked_for(
    loadtest: LoadTest, page_settings: dict[str, str]
) -> None:
    await loadtest.run("headless", **SIZE, **page_settings)
    connection = await asyncpg.connect(page_settings["DATABASE_URL"])
    try:
        await connection.execute("TRUNCATE votes RESTART IDENTITY")
    finally:
        await connection.close()
    outcome = await loadtest.run("audit", **page_settings)

    assert outcome.code == 0, outcome.output
    assert "none has been made since the votes were last emptied" in outcome.output


async def test_addresses_in_files_are_read_as_the_services_read_them(
    loadtest: LoadTest, page_settings: dict[str, str]
) -> None:
    files = {}
    for name in ("REDIS_URL", "DATABASE_URL"):
        path = loadtest.folder / name
        path.write_text(page_settings[name] + "\n")
        files[f"{name}_FILE"] = str(path)
    outcome = await loadtest.run("audit", **{**page_settings, "REDIS_URL": "", "DATABASE_URL": ""}, **files)
    missing = await loadtest.run("audit", **{**page_settings, "REDIS_URL": "", "REDIS_URL_FILE": "nowhere"})

    assert outcome.code == 0, outcome.output
    assert "not looked at" not in outcome.output
    assert missing.code == 1
    assert "REDIS_URL_FILE: can't be read" in missing.output

"""`make audit`: what it calls wrong and what it only mentions, by known facts and against the whole system."""

import asyncpg
import pytest

from loadtest.audit import (
    Check,
    Table,
    agrees,
    is_good,
    judge_last_run,
    judge_queue,
    judge_rejected,
    judge_table,
    verdict,
)
from proof.audit import Report
from proof.state import Queue, Tables
from tests.loadtest.conftest import SIZE, LoadTest

pytestmark = pytest.mark.timeout(240)


def table(a: int, b: int, *, tallies: dict[str, int] | None = None, voters: int | None = None) -> Table:
    recount = {"a": a, "b": b}
    tables = Tables(recount, recount if tallies is None else tallies)
    return Table(tables, a + b, a + b if voters is None else voters)


@pytest.mark.parametrize(
    ("first", "last", "seconds", "holds", "words"),
    [
        (Queue(0, 7, 0), Queue(0, 7, 0), 0.0, True, "empty"),
        (Queue(1200, 7, 0), Queue(0, 1207, 0), 0.5, True, "1,200 votes waited at first"),
        (Queue(1200, 7, 0), Queue(200, 5007, 0), 30.0, True, "draining: 200 votes waiting, 5,000 counted in 30 s"),
        (Queue(5, 7, 0), Queue(1, 7, 0), 30.0, False, "1 vote waiting, and none was counted in 30 s"),
    ],
)
def test_a_queue_is_wrong_only_if_nobody_counts(
    first: Queue, last: Queue, seconds: float, holds: bool, words: str
) -> None:
    check = judge_queue(first, last, seconds)

    assert check.holds is holds
    assert words in check.words


def test_tallies_that_differ_from_a_recount_are_wrong() -> None:
    assert all(check.holds for check in judge_table(table(3, 2)))
    assert judge_table(table(3, 0, tallies={"a": 3, "c": 0}))[0].holds
    tallies, voters = judge_table(table(3, 2, tallies={"a": 3, "b": 1}))
    assert (tallies.holds, voters.holds) == (False, True)
    assert "{'b': (1, 2)}" in tallies.words


def test_a_voter_with_two_votes_is_wrong() -> None:
    tallies, voters = judge_table(table(3, 2, voters=4))
    assert (tallies.holds, voters.holds) == (True, False)


@pytest.mark.parametrize(
    ("before", "shown", "after", "right"),
    [
        (table(3, 2), {"a": 3, "b": 2, "c": 0}, table(3, 2), True),
        (table(3, 2), {"a": 2, "b": 3}, table(3, 2), False),
        (table(3, 2), {"a": 2, "b": 4}, table(2, 5), True),  # somebody changed a vote, others came
        (table(3, 2), {"a": 2, "b": 2}, table(2, 5), False),
        (table(3, 2), {"a": 9, "b": 2}, table(4, 2), False),
    ],
)
def test_a_dashboard_agrees_also_while_votes_are_counted(
    before: Table, shown: dict[str, int], after: Table, right: bool
) -> None:
    assert agrees(before, shown, after) is right


def test_rejected_messages_are_told_with_their_reasons_and_are_no_failure() -> None:
    assert judge_rejected(0, []).holds
    check = judge_rejected(2, ["not JSON", "no voter"])
    assert check.holds is None
    assert "2 messages; the last: not JSON; no voter" in check.words


def test_a_load_test_whose_votes_are_gone_is_wrong() -> None:
    assert judge_last_run("run", Report(confirmed=7)).holds
    assert judge_last_run("run", Report(confirmed=6, problems=["lost: voter v"])).holds is False


def test_one_wrong_check_fails_the_audit_and_notes_alone_do_not_pass_it() -> None:
    good, wrong, note = (Check("name", holds, "") for holds in (True, False, None))

    assert is_good([good, note])
    assert not is_good([good, wrong])
    assert not is_good([note])
    assert "set REDIS_URL" in verdict([note])
    assert verdict([good, wrong]) == "WRONG: name"


async def test_the_audit_finds_the_last_load_test_and_what_was_taken_from_it(
    loadtest: LoadTest, settings: dict[str, str]
) -> None:
    run = await loadtest.run("headless", **SIZE, **settings)
    good = await loadtest.run("audit", **settings)
    connection = await asyncpg.connect(settings["DATABASE_URL"])
    try:
        last = await connection.fetchrow("DELETE FROM votes WHERE id = (SELECT max(id) FROM votes) RETURNING voter_id")
        bad = await loadtest.run("audit", **settings)
        await connection.execute("TRUNCATE votes RESTART IDENTITY")
        emptied = await loadtest.run("audit", **settings)
    finally:
        await connection.close()

    assert run.code == 0, run.output
    assert good.code == 0, good.output
    assert run.folder is not None
    assert f"{run.folder.name}: the votes of all" in good.output
    assert bad.code == 1
    assert last is not None
    assert f"lost: voter {last['voter_id']}" in bad.output
    assert not list(run.folder.glob("tmp*"))
    assert emptied.code == 0, emptied.output
    assert "none since the votes were last emptied" in emptied.output


async def test_addresses_in_files_are_read_as_the_services_read_them(
    loadtest: LoadTest, settings: dict[str, str]
) -> None:
    files = {}
    for name in ("REDIS_URL", "DATABASE_URL"):
        path = loadtest.folder / name
        path.write_text(settings[name] + "\n")
        files[f"{name}_FILE"] = str(path)
    outcome = await loadtest.run("audit", **{**settings, "REDIS_URL": "", "DATABASE_URL": ""}, **files)
    missing = await loadtest.run("audit", **{**settings, "REDIS_URL": "", "REDIS_URL_FILE": "nowhere"})

    assert outcome.code == 0, outcome.output
    assert "not checked" not in outcome.output
    assert missing.code == 1
    assert "REDIS_URL_FILE: can't be read" in missing.output

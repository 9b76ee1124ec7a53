"""What is said of the pipeline, in one sentence: plainly, and only what can be known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from common.counting import DELAYED_SECONDS
from common.overview import Overview
from result.pipeline_sources import Workers
from result.pipeline_verdict import Findings, verdict
from result.pipeline_words import duration

ONE_COUNTS = Workers("here:1", ("there:2",))
NOBODY = Workers(None, ())
EMPTY = Overview(waiting=0, counted=7, oldest_cast_at=None, rejected=0, last_rejected=())


def waiting(votes: int, *, seconds: float = 0.1) -> Overview:
    return replace(EMPTY, waiting=votes, oldest_cast_at=datetime.now(UTC) - timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("found", "state", "title"),
    [
        (Findings(EMPTY, ONE_COUNTS), "counting", "Votes are counted as they come."),
        (
            Findings(waiting(2, seconds=DELAYED_SECONDS + 1), ONE_COUNTS),
            "delayed",
            "Counting is delayed: 2 votes wait, none is lost.",
        ),
        (Findings(waiting(1204), NOBODY), "nobody_counts", "Nobody is counting: 1,204 votes wait, none is lost."),
        (Findings(waiting(1), NOBODY), "nobody_counts", "Nobody is counting: 1 vote waits, none is lost."),
        (Findings(EMPTY, NOBODY), "nobody_counts", "Nobody is counting: no vote waits."),
        (
            Findings(waiting(3), database="unreachable"),
            "database_unreachable",
            "The database can't be reached: counting waits, 3 votes wait, none is lost.",
        ),
        (
            Findings(workers=ONE_COUNTS, redis="unreachable"),
            "redis_unreachable",
            "Redis can't be reached: voting is refused, nothing is lost.",
        ),
    ],
)
def test_the_state_is_said_plainly(found: Findings, state: str, title: str) -> None:
    said = verdict(found)

    assert (said.state, said.title) == (state, title)


def test_votes_that_wait_for_a_moment_are_no_delay() -> None:
    said = verdict(Findings(waiting(50), ONE_COUNTS))

    assert (said.state, said.detail) == ("counting", "At this moment 50 votes wait.")


def test_when_both_servers_are_gone_both_are_named() -> None:
    said = verdict(Findings(redis="unreachable", database="unreachable"))

    assert "Redis can't be reached" in said.title
    assert "The database can't be reached either" in said.detail


def test_a_redis_that_nobody_named_is_not_said_to_be_down() -> None:
    said = verdict(Findings(workers=ONE_COUNTS, redis="not_configured"))

    assert said.state == "unknown"
    assert "refused" not in said.title
    assert "REDIS_URL" in said.detail


def test_without_redis_to_ask_it_is_still_said_that_nobody_counts_or_the_database_is_gone() -> None:
    assert verdict(Findings(workers=NOBODY, redis="not_configured")).state == "nobody_counts"
    assert verdict(Findings(redis="refuses", database="unreachable")).state == "database_unreachable"


def test_votes_that_leave_the_queue_are_counted_even_if_this_page_does_not_reach_the_database() -> None:
    said = verdict(Findings(waiting(9), database="unreachable", settling=True))

    assert said.state == "unknown"
    assert said.title.startswith("Votes are counted")


def test_a_database_that_lets_others_in_is_not_said_to_be_down() -> None:
    assert verdict(Findings(waiting(9), database="refuses")).state == "unknown"


def test_a_vote_that_does_not_say_when_it_was_cast_delays_nothing() -> None:
    assert verdict(Findings(replace(EMPTY, waiting=4), ONE_COUNTS)).state == "counting"


def test_who_could_count_is_said_when_nobody_does() -> None:
    assert "A worker is connected" in verdict(Findings(EMPTY, Workers(None, ("there:2",)))).detail
    assert "No worker" in verdict(Findings(EMPTY, NOBODY)).detail


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.7, "1 min 0 s"), (61, "1 min 1 s"), (7260, "2 h 1 min")],
)
def test_a_time_span_is_said_as_people_say_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words

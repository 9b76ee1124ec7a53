"""What is said of the pipeline, in one sentence: plainly, and only what can be known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from common.presence import SILENT_SECONDS, VoteService
from common.vote_queue import DELAYED_SECONDS, QueueStats
from result.pipeline_report import REFUSED_BY_CHANCE, Inspection, Intake, Workers, duration, panel_texts, verdict

ONE_COUNTS = Workers("here:1", ("there:2",))
NOBODY = Workers(None, ())
WELL = VoteService("vote:1", accepted=30, refused=1, unrecorded=0)
HANGS = replace(WELL, silent_seconds=SILENT_SECONDS + 7)
TAKES = Intake("", (WELL,))
FULL = Intake("Redis has no memory left", (replace(WELL, accepted=0, unrecorded=9),))
EMPTY = QueueStats(waiting=0, counted=7, oldest_cast_at=None, rejected=0, last_rejected=())


def waiting(votes: int, *, seconds: float = 0.1) -> QueueStats:
    return replace(EMPTY, waiting=votes, oldest_cast_at=datetime.now(UTC) - timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("found", "state", "title"),
    [
        (Inspection(EMPTY, ONE_COUNTS), "counting", "Votes are counted as they come."),
        (
            Inspection(waiting(2, seconds=DELAYED_SECONDS + 1), ONE_COUNTS),
            "delayed",
            "Counting is delayed: 2 votes wait, none is lost.",
        ),
        (Inspection(waiting(1204), NOBODY), "nobody_counts", "Nobody is counting: 1,204 votes wait, none is lost."),
        (Inspection(waiting(1), NOBODY), "nobody_counts", "Nobody is counting: 1 vote waits, none is lost."),
        (Inspection(EMPTY, NOBODY), "nobody_counts", "Nobody is counting: no vote waits."),
        (
            Inspection(waiting(3), database="unreachable"),
            "database_unreachable",
            "The database can't be reached: counting waits, 3 votes wait, none is lost.",
        ),
        (
            Inspection(workers=ONE_COUNTS, redis="unreachable"),
            "redis_unreachable",
            "Redis can't be reached: voting is refused, nothing is lost.",
        ),
    ],
)
def test_the_state_is_said_plainly(found: Inspection, state: str, title: str) -> None:
    said = verdict(found)

    assert (said.state, said.title) == (state, title)


def test_votes_that_wait_for_a_moment_are_no_delay() -> None:
    said = verdict(Inspection(waiting(50), ONE_COUNTS))

    assert (said.state, said.detail) == ("counting", "At this moment 50 votes wait.")


def test_when_both_servers_are_gone_both_are_named() -> None:
    said = verdict(Inspection(redis="unreachable", database="unreachable"))

    assert "Redis can't be reached" in said.title
    assert "The database can't be reached either" in said.detail


def test_a_redis_that_nobody_named_is_not_said_to_be_down() -> None:
    said = verdict(Inspection(workers=ONE_COUNTS, redis="not_configured"))

    assert said.state == "unknown"
    assert "refused" not in said.title
    assert "REDIS_URL" in said.detail


def test_without_redis_to_ask_it_is_still_said_that_nobody_counts_or_the_database_is_gone() -> None:
    assert verdict(Inspection(workers=NOBODY, redis="not_configured")).state == "nobody_counts"
    assert verdict(Inspection(redis="refuses", database="unreachable")).state == "database_unreachable"


def test_votes_that_leave_the_queue_are_counted_even_if_this_page_does_not_reach_the_database() -> None:
    said = verdict(Inspection(waiting(9), database="unreachable", settling=True))

    assert said.state == "unknown"
    assert said.title.startswith("Votes are counted")


def test_a_database_that_lets_others_in_is_not_said_to_be_down() -> None:
    assert verdict(Inspection(waiting(9), database="refuses")).state == "unknown"


def test_a_vote_that_does_not_say_when_it_was_cast_delays_nothing() -> None:
    assert verdict(Inspection(replace(EMPTY, waiting=4), ONE_COUNTS)).state == "counting"


def test_who_could_count_is_said_when_nobody_does() -> None:
    assert "A worker is connected" in verdict(Inspection(EMPTY, Workers(None, ("there:2",)))).detail
    assert "No worker" in verdict(Inspection(EMPTY, NOBODY)).detail


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.7, "1 min 0 s"), (61, "1 min 1 s"), (7260, "2 h 1 min")],
)
def test_a_time_span_is_said_as_people_say_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("found", "state", "title", "detail"),
    [
        (
            Inspection(waiting(12), ONE_COUNTS, intake=FULL),
            "votes_refused",
            "Votes are refused: Redis has no memory left.",
            "Voters are asked to vote again. 12 votes wait, none is lost.",
        ),
        (
            Inspection(waiting(12), NOBODY, intake=FULL),
            "votes_refused",
            "Votes are refused: Redis has no memory left.",
            "Voters are asked to vote again. 12 votes wait, none is lost. Nobody is counting.",
        ),
        (
            Inspection(None, ONE_COUNTS, redis="unreachable", intake=Intake("Redis holds it back", (WELL,))),
            "votes_refused",
            "Votes are refused: Redis holds it back.",
            "Voters are asked to vote again. How many votes are waiting is unknown.",
        ),
        (
            Inspection(EMPTY, ONE_COUNTS, intake=Intake("", ())),
            "nobody_takes_votes",
            "No vote service is running: nobody can vote.",
            "None of ours is connected to Redis; another kind of service would show only by its votes. No vote waits.",
        ),
        (
            Inspection(EMPTY, ONE_COUNTS, intake=Intake("", (HANGS,))),
            "nobody_takes_votes",
            "No vote service is running: nobody can vote.",
            "One is connected to Redis, but silent for 12 s. No vote waits.",
        ),
        (
            Inspection(EMPTY, ONE_COUNTS, intake=Intake("", (WELL, replace(WELL, unrecorded=3)))),
            "votes_in_doubt",
            "Voters are asked to vote again: 3 votes may not have been recorded.",
            "In the last 10 s: 60 accepted, 2 refused. Redis was slow, full, or gone for a moment.",
        ),
        (
            Inspection(
                EMPTY, ONE_COUNTS, intake=Intake("", (replace(WELL, accepted=0, refused=REFUSED_BY_CHANCE * 120),))
            ),
            "votes_refused",
            "All of the last 1,200 votes were refused.",
            "Too many from one address or voter, a code that is missing or wrong, or no votes for this ballot. "
            "The metrics of vote tell which.",
        ),
        (
            Inspection(None, ONE_COUNTS, redis="broken", intake=TAKES),
            "queue_broken",
            "Redis holds something else where the queue should be.",
            "The log of result says which key it is. Until somebody fixes it, votes can't be counted.",
        ),
    ],
)
def test_whether_anybody_can_vote_is_said_plainly(found: Inspection, state: str, title: str, detail: str) -> None:
    said = verdict(found)

    assert (said.state, said.title, said.detail) == (state, title, detail)
    assert said.severity != "well"


def test_while_votes_are_taken_it_is_said_what_becomes_of_them() -> None:
    for found in (Inspection(EMPTY, ONE_COUNTS), Inspection(waiting(3), NOBODY), Inspection(redis="unreachable")):
        assert verdict(replace(found, intake=TAKES)) == verdict(found)


def test_some_voters_trouble_is_not_told_in_place_of_everybodys() -> None:
    some = Intake("", (replace(WELL, unrecorded=3),))

    assert verdict(Inspection(waiting(3), NOBODY, intake=some)).state == "nobody_counts"


def test_one_of_two_vote_services_that_hangs_is_no_alarm() -> None:
    assert verdict(Inspection(EMPTY, ONE_COUNTS, intake=Intake("", (HANGS, WELL)))).severity == "well"


@pytest.mark.parametrize("intake", [None, Intake(None, None), Intake("", None), Intake(None, (WELL,))])
def test_what_can_not_be_known_of_the_way_in_is_not_said_to_be_shut(intake: Intake | None) -> None:
    assert verdict(Inspection(EMPTY, ONE_COUNTS, intake=intake)).severity == "well"


def test_a_timeout_alone_is_an_outage_and_no_refusal() -> None:
    """Where neither the queue nor the vote services can be seen, Redis does not answer at all."""
    gone = Inspection(None, ONE_COUNTS, redis="unreachable", intake=Intake("Redis holds it back", None))

    assert verdict(gone).state == "redis_unreachable"


def test_a_few_votes_that_were_refused_are_no_warning() -> None:
    few = Intake("", (replace(WELL, accepted=0, refused=REFUSED_BY_CHANCE - 1),))

    assert verdict(Inspection(EMPTY, ONE_COUNTS, intake=few)).severity == "well"


@pytest.mark.parametrize(
    ("services", "value", "note"),
    [
        ([], "none", "no vote refused lately"),
        ([{"does": "silent", "accepted": 1, "refused": 0, "unrecorded": 0}], "none", "no vote refused lately"),
        (
            [{"does": "takes votes", "accepted": 0, "refused": 1, "unrecorded": 0}],
            "1",
            "1 of 1 not accepted in 10 s",
        ),
        (
            [{"does": "takes votes", "accepted": 999, "refused": 1, "unrecorded": 2}] * 2,
            "2",
            "6 of 2,004 not accepted in 10 s",
        ),
    ],
)
def test_the_vote_services_are_told_in_few_words(services: list[dict[str, object]], value: str, note: str) -> None:
    figures = dict.fromkeys(
        ("accepted", "waiting", "recorded", "oldest_waiting_seconds", "rejected", "viewers", "workers", "redis")
    )

    assert panel_texts({**figures, "vote_services": services})["voting"] == {"value": value, "note": note}

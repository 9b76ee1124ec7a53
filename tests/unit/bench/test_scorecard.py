"""The scorecard says what was measured, what was not, and which goal was missed."""

import json
import math

import pytest

from bench.edits.scorecard import Score, as_json, missed, table
from bench.edits.traffic import Impact, Request, Traffic, request_of
from proof.audit import Report
from proof.ledger import Cast

EDITS = ("vote", "worker", "result", "template", "requirement", "locust", "broken")
GOOD = Report(accepted=1200, refused=30, in_doubt=1)


def score(**changed: list[float]) -> Score:
    seconds = {edit: [1.5, 1.1, 9.0] for edit in EDITS} | changed
    memory = {"containers": 300_000_000, "Tilt": 110_000_000}
    return Score(cold_start=12.34, memory=memory, seconds=seconds, report=GOOD)


def row(card: str, beginning: str, *, section: int = 0) -> list[str]:
    [line] = [line for line in card.split("\n\n")[section].splitlines() if line.startswith(f"| {beginning}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_shows_medians_not_means() -> None:
    card = table({"tilt": score(worker=[0.9, 1.9, 1.0])}, rounds=3, machine="2 cores")
    assert row(card, "code of vote")[1] == "1.5 s"
    assert row(card, "code of worker")[1] == "1.0 s"


def test_the_table_shows_start_memory_votes_and_the_machine() -> None:
    card = table({"tilt": score()}, rounds=3, machine="2 cores, Linux")
    assert row(card, "cold start")[1] == "12.3 s"
    assert row(card, "memory")[1] == "410 MB (containers 300, Tilt 110)"
    assert row(card, "votes meanwhile")[1] == "1,200 / 1,200 / 0 / 31"
    assert "Measured on 2 cores, Linux." in card


def test_every_row_has_a_cell_for_every_environment() -> None:
    scores = {"tilt": score(), "compose": Score(missing="no docker on PATH"), "up": score()}
    card = table(scores, rounds=3, machine="2 cores")
    rows = [line for line in card.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {len(scores) + 2}
    assert len(rows) == (2 + len(EDITS) + 3) + (2 + len(EDITS) - 1)


def test_an_environment_that_is_not_there_is_skipped_with_the_reason_and_misses_no_goal() -> None:
    scores = {"tilt": Score(missing="no tilt on PATH")}
    card = table(scores, rounds=3, machine="2 cores")
    assert "Tilt was skipped: no tilt on PATH." in card
    assert set(row(card, "code of vote")[1:]) == {"-"}
    assert missed(scores) == []


def test_under_tilt_each_service_shows_its_code_within_two_seconds_or_the_goal_is_missed() -> None:
    assert missed({"tilt": score()}) == []
    [goal] = missed({"tilt": score(worker=[2.4, 2.6, 1.0])})
    assert "code of worker: 2.40 s" in goal


def test_other_environments_and_other_edits_have_no_goal() -> None:
    assert missed({"up": score(vote=[7.0]), "tilt": score(requirement=[7.0], template=[7.0])}) == []


def test_a_lost_vote_misses_a_goal_in_every_environment() -> None:
    lossy = score()
    lossy.report = Report(accepted=1200, lost=1, reverted=2, problems=["lost: voter x has no row"])
    assert missed({"compose": lossy}) == ["Compose, bind mounts: lost: voter x has no row"]
    assert row(table({"compose": lossy}, rounds=3, machine="2 cores"), "votes meanwhile")[1] == "1,200 / 1,197 / 3 / 0"


def test_each_kind_of_edit_shows_its_failed_requests_and_the_longest_wait() -> None:
    felt = score()
    felt.impacts = {"template": Impact(sent=1412, failed=0, longest_seconds=0.04), "requirement": Impact(300, 7, 2.5)}
    card = table({"up": felt}, rounds=3, machine="2 cores")
    assert row(card, "a template", section=1)[1] == "0 of 1,412; 0.04 s"
    assert row(card, "a new requirement", section=1)[1] == "7 of 300; 2.50 s"
    assert row(card, "code of vote", section=1)[1] == "-"


@pytest.mark.parametrize("edit", ["vote", "worker", "result", "template", "broken"])
def test_a_request_that_failed_while_code_or_a_template_was_edited_misses_a_goal_but_not_of_plain_hypercorn(
    edit: str,
) -> None:
    felt = score()
    felt.impacts = {edit: Impact(300, 2, 0.1), "requirement": Impact(300, 7, 2.5)}
    for name in ("tilt", "compose", "up"):
        [goal] = missed({name: felt})
        assert "2 requests failed; the goal is none" in goal
    assert missed({"hypercorn": felt}) == []


def test_the_impact_of_an_edit_is_of_the_requests_that_were_under_way_during_it() -> None:
    before, into, within, after = (
        Request(1.0, 1.5, is_good=False),
        Request(1.75, 2.25, is_good=True),
        Request(2.1, 2.2, is_good=False),
        Request(3.1, 9.0, is_good=False),
    )
    impact = Traffic([before, into, within, after]).impact([(2.0, 3.0), (2.15, 2.5)])
    assert impact == Impact(sent=2, failed=1, longest_seconds=0.5)
    assert Traffic([before]).impact([(2.0, 3.0)]) == Impact()


def test_an_edit_that_was_never_shown_misses_a_goal_even_if_the_median_is_good() -> None:
    [goal] = missed({"up": score(template=[1.0, math.inf, 1.0])})
    assert "a template (the ballot): never shown" in goal
    assert missed({"hypercorn": score(broken=[math.inf])}) == []


def test_an_environment_that_could_not_be_measured_misses_a_goal() -> None:
    [goal] = missed({"compose": Score(failed="docker compose up ended with 1:")})
    assert "could not be measured" in goal


def test_the_figures_for_programs_have_null_for_what_was_not_measured() -> None:
    felt = score(vote=[math.inf, 1.23456])
    felt.impacts = {"vote": Impact(300, 2, 0.1)}
    scores = {"up": felt, "tilt": Score(missing="no tilt on PATH")}
    figures = json.loads(json.dumps(as_json(scores, rounds=2, machine={"cores": "2"}), allow_nan=False))
    assert figures["environments"]["up"]["seconds"]["vote"] == [None, 1.235]
    assert figures["environments"]["up"]["impacts"]["vote"]["failed"] == 2
    assert figures["environments"]["up"]["report"]["accepted"] == 1200
    assert figures["environments"]["tilt"]["cold_start"] is None


def test_a_vote_that_was_never_answered_waited_until_its_voter_gave_up() -> None:
    request = request_of(Cast("x", "a", sent=1, sent_at=100.0))
    assert (request.answered - request.sent, request.is_good) == (20.0, False)

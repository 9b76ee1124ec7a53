"""Medians, ratios, goals and the budget of `make bench`."""

import math
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.speed.budget import BUDGET, over_budget, read_budget
from bench.speed.outcome import Outcome, number, spread
from bench.speed.stage import FIGURE, Contender, Goal, Sense, Stage
from bench.speed.stages import all_stages


def nothing(_: object) -> float:
    return 0.0


def stage(*contenders: str, goal: float = 0.9, sense: Sense = "at least", also: tuple[Goal, ...] = ()) -> Stage:
    made: dict[str, Contender] = {name: nothing for name in contenders}
    return Stage("post", "votes", "the floor", "votes/s", goal, sense, made, also)


def outcome(of: Stage, **figures: list[float]) -> Outcome:
    found = Outcome(of)
    for name, rounds in figures.items():
        for each in rounds:
            found.add(name, each)
    return found


def test_the_score_is_the_ratio_of_medians_not_of_means_or_rounds() -> None:
    found = outcome(stage("ours", "floor"), ours=[900, 100, 1000], floor=[1000, 5000, 900])

    assert found.score == pytest.approx(0.9)


def test_with_one_contender_the_score_is_its_median() -> None:
    assert outcome(stage("ours"), ours=[3.0, 1.0, 9.0]).score == 3.0


def test_a_third_contender_is_only_shown() -> None:
    found = outcome(stage("ours", "floor", "bare"), ours=[95], floor=[100], bare=[400])

    assert found.score == 0.95
    assert found.missed() == []


def test_what_fails_half_way_has_no_score() -> None:
    found = outcome(stage("ours", "floor"), ours=[100])
    found.failed = "floor: not ready"

    assert math.isnan(found.score)
    assert found.missed() == ["post could not be measured: floor: not ready"]


def test_a_goal_that_is_just_met_is_met_and_one_below_is_missed_in_words() -> None:
    assert outcome(stage("ours", "floor"), ours=[90], floor=[100]).missed() == []
    assert outcome(stage("ours", "floor"), ours=[89], floor=[100]).missed() == ["post: 0.89; the goal is at least 0.90"]


def test_at_most_is_the_other_way_round() -> None:
    at_most = stage("ours", "other", goal=1.2, sense="at most")

    assert outcome(at_most, ours=[12], other=[10]).missed() == []
    assert outcome(at_most, ours=[13], other=[10]).missed()


def test_a_further_goal_is_for_a_figure_of_ours() -> None:
    found = Outcome(stage("ours", "floor", also=(Goal("p99", 120, "at most", "ms"),)))
    found.add("ours", {FIGURE: 100, "p99": 130})
    found.add("floor", {FIGURE: 100, "p99": 1})

    assert found.missed() == ["post, p99: 130; the goal is at most 120 ms"]


def test_a_further_goal_whose_figure_is_missing_is_missed() -> None:
    found = outcome(stage("ours", "floor", also=(Goal("p99", 120, "at most"),)), ours=[1], floor=[1])

    assert found.missed()


def test_nothing_measured_meets_no_goal() -> None:
    assert Outcome(stage("ours", "floor")).missed()
    assert Outcome(stage("ours", goal=5, sense="at most")).missed()


def test_a_stage_that_was_skipped_misses_none() -> None:
    assert Outcome(stage("ours"), skipped="no wrk on PATH").missed() == []


def test_the_spread_is_from_the_least_to_the_most() -> None:
    assert spread([1500, 900, 1000]) == "1,000 (900..1,500)"
    assert spread([2.5]) == "2.50"


@pytest.mark.parametrize(("value", "text"), [(math.nan, "-"), (12345.6, "12,346"), (99.94, "99.9"), (0.904, "0.90")])
def test_a_number_has_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_a_ratio_below_its_budget_is_over_it_though_the_goal_is_higher() -> None:
    good, bad = (outcome(stage("ours", "floor"), ours=[value], floor=[100]) for value in (85, 79))

    assert over_budget([good], {"post": 0.8}) == []
    assert over_budget([bad], {"post": 0.8}) == ["post: 0.79; the budget is at least 0.80"]


def test_a_stage_that_failed_is_over_any_budget() -> None:
    assert over_budget([Outcome(stage("ours"), failed="ours: gone")], {}) == ["post could not be measured: ours: gone"]


def test_the_budget_names_stages_that_there_are_and_none_is_stricter_than_the_goal() -> None:
    stages = {each.name: each for each in all_stages()}
    for name, worst in read_budget().items():
        slack = stages[name].goal - worst
        assert slack >= 0 if stages[name].sense == "at least" else slack <= 0


@pytest.mark.parametrize("text", ["", "[worst]\npost = 'much'", "worst = 3", "[worst"])
def test_a_budget_that_can_not_be_read_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / BUDGET.name
    path.write_text(text)

    with pytest.raises(BenchError, match=r"write a number for each stage into \[worst\]"):
        read_budget(path)

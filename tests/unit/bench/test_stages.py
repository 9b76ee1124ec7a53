"""`make bench`: contenders run in turn; medians, ratios, goals, the budget, and how all of it is shown."""

import asyncio
import json
import math
from pathlib import Path

import pytest

from bench.settings import BenchError
from bench.speed.__main__ import STAGES, chosen, measure_all
from bench.speed.place import Place, place
from bench.speed.stage import (
    FIGURE,
    Contender,
    Goal,
    Outcome,
    Sense,
    Stage,
    as_json,
    number,
    over_budget,
    percentile,
    read_budget,
    spread,
    table,
)


def stage(*contenders: str, goal: float = 0.9, sense: Sense = "at least", also: tuple[Goal, ...] = ()) -> Stage:
    made: dict[str, Contender] = {name: lambda _: 0.0 for name in contenders}
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
    assert (found.score, found.missed()) == (0.95, [])


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


def test_a_further_goal_is_for_a_figure_of_ours_and_missed_without_it() -> None:
    found = Outcome(stage("ours", "floor", also=(Goal("p99", 120, "at most", "ms"),)))
    found.add("ours", {FIGURE: 100, "p99": 130})
    found.add("floor", {FIGURE: 100, "p99": 1})
    assert found.missed() == ["post, p99: 130; the goal is at most 120 ms"]
    assert outcome(found.stage, ours=[1], floor=[1]).missed()


def test_nothing_measured_meets_no_goal_but_a_stage_that_was_skipped_misses_none() -> None:
    assert Outcome(stage("ours", "floor")).missed()
    assert Outcome(stage("ours", goal=5, sense="at most")).missed()
    assert Outcome(stage("ours"), skipped="no wrk on PATH").missed() == []


def test_the_spread_is_from_the_least_to_the_most() -> None:
    assert spread([1500, 900, 1000]) == "1,000 (900..1,500)"
    assert spread([2.5]) == "2.50"


@pytest.mark.parametrize(("value", "text"), [(math.nan, "-"), (12345.6, "12,346"), (99.94, "99.9"), (0.904, "0.90")])
def test_a_number_has_three_significant_digits(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(percent: float, value: int) -> None:
    assert percentile(range(100, 0, -1), percent) == value
    assert math.isnan(percentile([], percent))


def test_a_ratio_below_its_budget_is_over_it_though_the_goal_is_higher() -> None:
    good, bad = (outcome(stage("ours", "floor"), ours=[value], floor=[100]) for value in (85, 79))
    assert over_budget([good], {"post": 0.8}) == []
    assert over_budget([bad], {"post": 0.8}) == ["post: 0.79; the budget is at least 0.80"]


def test_a_stage_that_failed_is_over_any_budget_and_one_that_was_skipped_over_none() -> None:
    failed, skipped = Outcome(stage("ours"), failed="ours: gone"), Outcome(stage("ours"), skipped="no wrk")
    assert over_budget([failed, skipped], {}) == ["post could not be measured: ours: gone"]


def test_every_stage_has_a_name_and_a_budget_no_stricter_than_its_goal() -> None:
    budget = read_budget()
    assert sorted(each.name for each in STAGES) == sorted(budget)
    for each in STAGES:
        slack = each.goal - budget[each.name]
        assert slack >= 0 if each.sense == "at least" else slack <= 0


@pytest.mark.parametrize("text", ["", "[worst]\npost = 'much'", "worst = 3", "[worst"])
def test_a_budget_that_can_not_be_read_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "budget.toml"
    path.write_text(text)
    with pytest.raises(BenchError, match=r"write a number for each stage into \[worst\]"):
        read_budget(path)


class Contenders:
    """Two, A and B, which note that they ran, each in a fresh place."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def stage(self, name: str, *, broken: bool = False, needs: tuple[str, ...] = ()) -> Stage:
        contenders = {"A": self._contender("A", 90), "B": self._contender("B", 100, broken)}
        return Stage(name, "votes", "the floor", "votes/s", 0.9, "at least", contenders, needs=needs)

    def _contender(self, name: str, figure: float, broken: bool = False) -> Contender:
        def run(here: Place) -> float:
            assert not (here.folder / "left behind").exists()
            (here.folder / "left behind").touch()
            self.ran.append(name)
            if broken:
                raise BenchError("its server did not start")
            return figure

        return run


@pytest.fixture
def contenders() -> Contenders:
    return Contenders()


def run(stages: list[Stage], folder: Path, *, rounds: int) -> tuple[list[Outcome], list[str]]:
    lines: list[str] = []
    return measure_all(stages, rounds=rounds, seconds=1, folder=folder, say=lines.append), lines


def test_the_contenders_take_turns_each_in_a_fresh_place(contenders: Contenders, tmp_path: Path) -> None:
    [found], lines = run([contenders.stage("post")], tmp_path, rounds=3)
    assert contenders.ran == ["A", "B"] * 3
    assert found.figures("B") == [100, 100, 100]
    assert "1/1 post, round 3 of 3, B: 100 votes/s" in lines[-1]


def test_a_failing_stage_says_so_and_the_next_one_is_measured(contenders: Contenders, tmp_path: Path) -> None:
    [bad, good], lines = run([contenders.stage("bad", broken=True), contenders.stage("good")], tmp_path, rounds=2)
    assert (bad.failed, good.missed()) == ("B: its server did not start", [])
    assert contenders.ran == ["A", "B"] * 3
    assert any("1/2 bad: given up, B: its server did not start" in line for line in lines)


def test_a_stage_without_its_programs_is_skipped_with_what_to_do(contenders: Contenders, tmp_path: Path) -> None:
    [found], _ = run([contenders.stage("post", needs=("no-such-program",))], tmp_path, rounds=1)
    assert contenders.ran == []
    assert found.skipped == "no no-such-program on PATH: install it to measure this"
    assert found.skipped in table([found], rounds=3, machine="2 cores")


def test_table_and_json_have_every_stage_also_one_that_failed(contenders: Contenders, tmp_path: Path) -> None:
    outcomes, _ = run([contenders.stage("post"), contenders.stage("bad", broken=True)], tmp_path, rounds=2)
    text = table(outcomes, rounds=2, machine="2 cores")
    figures = json.loads(json.dumps(as_json(outcomes, seconds=4, machine={"cores": "2"}), allow_nan=False))["stages"]

    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {9}
    assert "| 90.0 (90.0..90.0) | the floor | 100 (100..100) | votes/s | 0.90 | at least 0.90 | yes |" in rows[2]
    assert rows[3].endswith("| no |")
    assert "bad could not be measured: B: its server did not start" in text
    assert (figures["post"]["score"], figures["bad"]["score"]) == (0.9, None)
    assert figures["post"]["rounds"]["A"] == [{"figure": 90}] * 2


def test_the_servers_data_of_a_place_is_gone_afterwards(tmp_path: Path) -> None:
    with place(tmp_path / "run", 1) as here:
        (here.folder / "servers").mkdir()
    assert not (tmp_path / "run" / "servers").exists()


def test_whatever_goes_wrong_in_a_measurement_is_an_error_of_its_stage(tmp_path: Path) -> None:
    async def measurement() -> float:
        async with asyncio.TaskGroup():
            raise ValueError("too long a snapshot")

    with place(tmp_path / "run", 1) as here, pytest.raises(BenchError, match="ExceptionGroup"):
        here.run(measurement(), core=here.load_core)


def test_stages_are_chosen_by_name_or_by_the_budget(contenders: Contenders, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [contenders.stage("one"), contenders.stage("two")]
    assert chosen(stages, None) == stages
    assert chosen(stages, {"one": 0.5}) == stages[:1]
    with pytest.raises(BenchError, match="budget has a stage 'gone'"):
        chosen(stages, {"gone": 0.5})
    monkeypatch.setenv("STAGES", "two")
    assert chosen(stages, None) == stages[1:]

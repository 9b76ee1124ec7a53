"""Percentiles, where a curve bends upward, and what is said and drawn of it."""

import math
from xml.etree import ElementTree

import pytest

from bench.errors import BenchError
from bench.speed.curve import Curve, plot, verdict
from bench.speed.figures import bend, percentile
from bench.speed.stages.sizes import size

FLAT = [(10.0, 5.0), (100.0, 6.0), (1000.0, 5.5)]
STEEP = [(10.0, 5.0), (100.0, 5.0), (1000.0, 9.0), (10000.0, 30.0)]


def curve(points: list[tuple[float, float]]) -> Curve:
    return Curve("votes", "Recording <a vote>", "votes stored", "µs", points)


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(percent: float, value: int) -> None:
    assert percentile(range(100, 0, -1), percent) == value


def test_of_nothing_there_is_no_percentile() -> None:
    assert math.isnan(percentile([], 50))


def test_a_flat_curve_has_no_bend() -> None:
    assert bend(FLAT, 1.5) is None
    assert bend([], 1.5) is None
    assert bend(FLAT[:1], 1.5) is None


def test_a_bend_begins_where_the_cost_stays_higher() -> None:
    assert bend(STEEP, 1.5) == 1000


def test_one_slow_point_is_no_bend_but_the_last_one_may_be() -> None:
    assert bend([(1, 5), (2, 50), (3, 5)], 1.5) is None
    assert bend([(1, 5), (2, 5), (3, 50)], 1.5) == 3


def test_a_slow_first_point_hides_no_bend() -> None:
    assert bend([(1, 50), (2, 5), (3, 20), (4, 30)], 1.5) == 3


def test_the_verdict_says_from_where_on() -> None:
    assert verdict(curve(FLAT)).endswith("does not bend upward")
    assert verdict(curve(STEEP)).endswith("bends upward from 1,000 on")
    assert "MAX" in verdict(curve([]))


def test_the_picture_has_every_point() -> None:
    picture = ElementTree.fromstring(plot(curve(STEEP)))

    assert len(picture.findall("{*}circle")) == len(STEEP)
    assert "Recording <a vote>" in [text.text for text in picture.findall("{*}text")]


def test_a_picture_of_one_point_can_be_drawn() -> None:
    assert ElementTree.fromstring(plot(curve(FLAT[:1]))).find("{*}circle") is not None


@pytest.mark.parametrize("text", ["many", "-5", "1.5", "10"])
def test_a_size_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTES", text)
    with pytest.raises(BenchError, match="VOTES"):
        size("VOTES", 5000)


def test_a_size_may_be_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTES", "1,000,000")
    assert size("VOTES", 5000) == 1_000_000
    monkeypatch.setenv("VOTES", "")
    assert size("VOTES", 5000) == 5000

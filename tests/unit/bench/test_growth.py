"""Where a curve bends upward, and what is said and drawn of it."""

import pytest

from bench.speed.growth import CURVES, bend, page, verdict

FLAT = [(10.0, 5.0), (100.0, 6.0), (1000.0, 5.5)]
STEEP = [(10.0, 5.0), (100.0, 5.0), (1000.0, 9.0), (10000.0, 30.0)]
CURVE = CURVES[0]


@pytest.mark.parametrize("points", [FLAT, FLAT[:1], []])
def test_a_flat_curve_has_no_bend(points: list[tuple[float, float]]) -> None:
    assert bend(points) is None


def test_a_bend_begins_where_the_cost_stays_higher() -> None:
    assert bend(STEEP) == 1000


def test_one_slow_point_is_no_bend_but_the_last_one_may_be() -> None:
    assert bend([(1, 5), (2, 50), (3, 5)]) is None
    assert bend([(1, 5), (2, 5), (3, 50)]) == 3


def test_a_slow_first_point_hides_no_bend() -> None:
    assert bend([(1, 50), (2, 5), (3, 20), (4, 30)]) == 3


def test_the_verdict_says_from_where_on() -> None:
    assert verdict(CURVE, FLAT).endswith("does not bend upward")
    assert verdict(CURVE, STEEP).endswith("bends upward from 1,000 on")
    assert "MAX" in verdict(CURVE, [])


def test_the_chart_has_every_point_and_room_for_the_highest() -> None:
    chart = page(CURVE, STEEP)
    assert '["10", "100", "1,000", "10,000"]' in chart
    assert "line [5.0, 5.0, 9.0, 30.0]" in chart
    assert '"µs" 0 --> 38' in chart
    assert "mermaid" not in page(CURVE, [])

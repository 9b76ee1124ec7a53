"""How often the tally is read, by how many watch."""

from result.watch import read_interval


def test_few_viewers_are_shown_a_change_sooner_than_many() -> None:
    assert read_interval(1) == read_interval(100) == 0.02
    assert read_interval(250) == 0.05
    assert read_interval(2000) == 0.1


def test_with_nobody_to_show_it_to_there_is_no_hurry() -> None:
    assert read_interval(0) == 0.1

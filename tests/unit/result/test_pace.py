"""How often the tally is read, by how many watch."""

from result.watch import pause_seconds


def test_few_viewers_are_shown_a_change_sooner_than_many() -> None:
    assert pause_seconds(1) == pause_seconds(100) == 0.02
    assert pause_seconds(250) == 0.05
    assert pause_seconds(2000) == 0.1


def test_with_nobody_to_show_it_to_there_is_no_hurry() -> None:
    assert pause_seconds(0) == 0.1

"""How a process that died is started again, and how its end is told."""

from local.processes import LONGEST_DELAY, STEADY_SECONDS, BackOff, how_it_ended


def test_each_start_that_fails_waits_twice_as_long_up_to_a_limit() -> None:
    back_off = BackOff()
    delays = [back_off.after(0.1) for _ in range(8)]
    assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, LONGEST_DELAY, LONGEST_DELAY, LONGEST_DELAY]


def test_after_a_steady_run_the_first_wait_is_short_again() -> None:
    back_off = BackOff()
    for _ in range(6):
        back_off.after(0.1)
    assert back_off.after(STEADY_SECONDS) == 0.2


def test_an_end_is_told_in_words() -> None:
    assert how_it_ended(3) == "ended with code 3"
    assert how_it_ended(-9) == "was killed by SIGKILL"

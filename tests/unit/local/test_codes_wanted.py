"""`make codes N=...`: how many codes are asked for."""

import pytest

from local.codes import main, wanted
from local.errors import LocalError


def test_twenty_codes_are_printed_unless_another_number_is_given() -> None:
    assert wanted([]) == 20
    assert wanted(["50"]) == 50
    assert wanted(["100000"]) == 100_000


@pytest.mark.parametrize("number", ["abc", "0", "-5", "1.5", "100001", "²", "--help", "9" * 5000, "5 6"])
def test_what_is_no_number_of_codes_is_told_as_it_was_typed_and_with_an_example(number: str) -> None:
    with pytest.raises(LocalError) as caught:
        wanted(number.split())
    assert str(caught.value) == f"N={number}: give a whole number from 1 to 100,000, e.g. make codes N=50"


def test_the_command_ends_with_one_line_and_no_usage_of_a_module(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["abc"]) == 1
    assert capsys.readouterr().err == "N=abc: give a whole number from 1 to 100,000, e.g. make codes N=50\n"

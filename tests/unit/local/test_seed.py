"""What the seed takes from its environment."""

import pytest

from local.errors import LocalError
from local.seed import main, seed, wanted


def test_three_thousand_votes_are_cast_unless_another_number_is_given() -> None:
    assert wanted({}) == wanted({"VOTES": " "}) == 3000
    assert wanted({"VOTES": "500"}) == 500


@pytest.mark.parametrize("votes", ["many", "0", "-5", "1.5", "1,000", "²", "1_000"])
def test_what_is_no_number_of_votes_is_told_with_an_example(votes: str) -> None:
    with pytest.raises(LocalError, match=r"is not a number of votes: .*, e\.g\. VOTES=3000$"):
        wanted({"VOTES": votes})


async def test_an_address_that_no_browser_takes_is_refused_before_a_vote_is_cast() -> None:
    with pytest.raises(LocalError, match="VOTE_URL=vote:5000 is not a web address"):
        await seed("vote:5000", 1)


def test_by_itself_the_seed_needs_the_ballots_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert main({"VOTES": "1"}) == 1
    assert capsys.readouterr().err == (
        "VOTE_URL is not set: give the ballot's address, e.g. VOTE_URL=http://vote:5000\n"
    )

"""The parts as people name them."""

import pytest

from local.errors import LocalError
from local.parts import PARTS, SERVICES, chosen, command, subject


def test_without_a_name_all_parts_are_meant() -> None:
    assert chosen([]) == PARTS


def test_parts_are_started_in_their_order_however_they_are_named() -> None:
    assert chosen(["worker", "redis", "worker"]) == ("redis", "worker")


def test_a_name_that_is_no_part_is_told_with_those_that_are() -> None:
    with pytest.raises(LocalError, match="no part 'cache': the parts are postgres, redis, vote, worker and result"):
        chosen(["vote", "cache"])


def test_a_sentence_speaks_of_one_part_of_several_and_of_the_whole() -> None:
    assert subject(["vote"], "is", "are") == "vote is"
    assert subject(["redis", "postgres"], "is", "are") == "postgres and redis are"
    assert subject(SERVICES, "is", "are") == "tallyho is"


def test_a_command_names_the_parts_unless_they_are_the_whole() -> None:
    assert command("down", ["redis"]) == "make down PARTS=redis"
    assert command("down", ["redis", "postgres"]) == "make down PARTS='postgres redis'"
    assert command("up", PARTS) == "make up"

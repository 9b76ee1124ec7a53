"""A poll in which one person has one vote: the ballot asks for a code, with and without JavaScript."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from local.running import Running
from tests.e2e.pages import expect_total, expect_votes, vote
from tests.e2e.visitors import Visitors
from tests.services import service
from tests.system import PROJECT, System


def run_codes(system: System, *arguments: str) -> list[str]:
    """What `make codes` prints."""
    command = [sys.executable, "-m", "local", "codes", *arguments]
    environment = {**os.environ, "DATA_DIR": str(system.data)}
    done = subprocess.run(command, cwd=PROJECT, env=environment, check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.split("\n")[:-1]


@pytest.fixture
def codes(system: System, poll: Running) -> Iterator[list[str]]:
    """Two codes; void afterwards."""
    yield run_codes(system, "2")
    assert run_codes(system, "--forget") == ["2 codes are void"]


@pytest.fixture
def ballot_url(poll: Running) -> Iterator[str]:
    """A second ballot of the same system, which asks for codes."""
    with service("vote", redis_url=poll.redis_url, VOTER_CODES="on") as asking:
        asking.until_ready()
        yield asking.url


@pytest.mark.parametrize("scripts", [True, False])
def test_one_code_is_one_vote_on_two_devices(
    poll: Running, visitors: Visitors, ballot_url: str, codes: list[str], scripts: bool
) -> None:
    first, second = (visitors.new(java_script_enabled=scripts).open(ballot_url) for _ in range(2))
    first.get_by_label("Your code").fill(codes[0])
    vote(first, "Cats")
    vote(first, "Dogs")
    second.get_by_label("Your code").fill(codes[0].lower().replace("-", " "))
    vote(second, "Cats")
    second.get_by_label("Another code").fill(codes[1])
    vote(second, "Dogs")
    dashboard = visitors.new().open(poll.result_url)
    expect_votes(dashboard, a=1, b=1)
    expect_total(dashboard, "2 votes")


def test_a_wrong_code_can_be_mended(visitors: Visitors, ballot_url: str, codes: list[str]) -> None:
    visitor = visitors.new()
    ballot = visitor.open(ballot_url)
    ballot.get_by_label("Your code").fill(codes[0][:-1])
    ballot.get_by_role("button", name="Cats").click()
    expect(ballot.get_by_role("alert")).to_contain_text("not valid")
    visitor.forgive()  # the 403
    expect(ballot.get_by_label("Your code")).to_have_value(codes[0][:-1])
    ballot.get_by_label("Your code").fill(codes[0])
    vote(ballot, "Cats")

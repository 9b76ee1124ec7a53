"""The commands' arguments: parts by their names, numbers of codes and votes; and what the seed says of refusals."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from local.__main__ import main
from local.codes import wanted as codes_wanted
from local.errors import LocalError
from local.parts import PARTS, SERVICES, chosen, command, subject
from local.seed import main as seed_main
from local.seed import seed, wanted


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


def test_twenty_codes_are_printed_unless_another_number_is_given() -> None:
    assert codes_wanted([]) == 20
    assert codes_wanted(["50"]) == 50
    assert codes_wanted(["100000"]) == 100_000


@pytest.mark.parametrize("number", ["abc", "0", "-5", "1.5", "100001", "²", "--help", "9" * 5000, "5 6"])
def test_what_is_no_number_of_codes_is_told_as_it_was_typed_and_with_an_example(number: str) -> None:
    with pytest.raises(LocalError) as caught:
        codes_wanted(number.split())
    assert str(caught.value) == f"N={number}: give a whole number from 1 to 100,000, e.g. make codes N=50"


def test_a_command_ends_with_one_line_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["codes", "abc"]) == 1
    assert capsys.readouterr().err == "N=abc: give a whole number from 1 to 100,000, e.g. make codes N=50\n"


def test_three_thousand_votes_are_cast_unless_another_number_is_given() -> None:
    assert wanted({}) == wanted({"VOTES": " "}) == 3000
    assert wanted({"VOTES": "500"}) == 500


@pytest.mark.parametrize("votes", ["many", "0", "-5", "1.5", "1,000", "²", "1_000", "9" * 5000])
def test_what_is_no_number_of_votes_is_told_with_an_example(votes: str) -> None:
    with pytest.raises(LocalError, match=r"is not a number of votes: .*, e\.g\. VOTES=3000$"):
        wanted({"VOTES": votes})


async def test_an_address_that_no_browser_takes_is_refused_before_a_vote_is_cast() -> None:
    with pytest.raises(LocalError, match="VOTE_URL=vote:5000 is not a web address"):
        await seed("vote:5000", 1)


def test_by_itself_the_seed_needs_the_ballots_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert seed_main({"VOTES": "1"}) == 1
    assert capsys.readouterr().err == (
        "VOTE_URL is not set: give the ballot's address, e.g. VOTE_URL=http://vote:5000\n"
    )


REFUSED = (403, '{"error": {"code": "code_needed", "message": "Only who has a code may vote."}}')


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (
            *REFUSED,
            "403: Only who has a code may vote. (make seed has none: start vote with VOTER_CODES=off to seed it)",
        ),
        (503, '{"error": {"code": "not_recorded", "message": "Please vote again."}}', "503: Please vote again."),
        (404, "<html>", "404 from {url}: that is not the ballot"),
        (200, "[]", "200 from {url}: that is not the ballot"),
        (502, '{"error": "down"}', "502 from {url}: that is not the ballot"),
    ],
)
async def test_refusals_are_told_in_the_services_own_words_and_with_what_to_do(
    capsys: pytest.CaptureFixture[str], status: int, body: str, told: str
) -> None:
    """A number alone, such as 403, says nothing."""
    async with _answering(status, body) as url:
        assert not await seed(url, 3)

    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("0 votes accepted, 3 refused, in ")
    assert lines[-1] == f"  3 times {told.format(url=url)}"


async def test_where_nobody_answers_the_address_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    async with _answering(303, "") as url:
        pass
    assert not await seed(url, 2)

    assert f"  2 times no answer from {url}: " in capsys.readouterr().out


@asynccontextmanager
async def _answering(status: int, body: str) -> AsyncIterator[str]:
    """A server that answers every request like this."""
    answer = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"vote=")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

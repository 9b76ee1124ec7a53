"""The drill's voters: what each kind sends, and what an answer, or the lack of one, says about a vote."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import httpx
import pytest

from proof.ledger import Ledger, Outcome, open_ledger, read_ledger
from proof.voters import Manner, Voter

ACCEPTED, REFUSED, IN_DOUBT = Outcome.ACCEPTED, Outcome.REFUSED, Outcome.IN_DOUBT
PAGE = '<input type="hidden" name="number" value="{}">'
COOKIES = [("Set-Cookie", "voter_id=ann.x; Path=/"), ("Set-Cookie", "ballot=y; Path=/")]


class Services:
    """Two vote services that note what they are asked; each page has the next number."""

    def __init__(self, ledger: Ledger) -> None:
        self.asked: list[httpx.Request] = []
        self.answer: httpx.Response | Exception = httpx.Response(303, headers=[*COOKIES, ("X-Cast-At", "now")])
        self._ledger = ledger

    def voter(self, manner: Manner) -> Voter:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._take))
        return Voter(client, self._ledger, {"A": "http://a", "B": "http://b"}, manner, random.Random(1))

    def sent(self) -> list[dict[str, str | int]]:
        """The fields of the votes."""
        bodies = [request for request in self.asked if request.method == "POST"]
        return [
            dict(parse_qsl(one.content.decode())) if one.url.path == "/" else json.loads(one.content) for one in bodies
        ]

    def _take(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.method == "GET":
            return httpx.Response(200, text=PAGE.format(10 * len(self.asked)), headers=COOKIES)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger-1.jsonl"


@pytest.fixture
def services(path: Path) -> Iterator[Services]:
    with open_ledger(path) as ledger:
        yield Services(ledger)


@pytest.mark.parametrize(
    ("manner", "numbers"),
    [
        (Manner.SCRIPT, ["11", "12"]),  # raised from the page's
        (Manner.PAGE, ["20", "40"]),  # of a page that is loaded before each vote
        (Manner.NUMBERING, [11, 12]),
        (Manner.WAITING, [None, None]),
        (Manner.PASSING, [None, None]),
    ],
)
async def test_each_kind_of_voter_numbers_its_votes_in_its_way(
    services: Services, path: Path, manner: Manner, numbers: list[str | int | None]
) -> None:
    voter = services.voter(manner)
    await voter.arrive()
    for _ in range(2):
        assert await voter.vote()

    assert [fields.get("number") for fields in services.sent()] == numbers
    assert [cast.number for cast in read_ledger(path)] == [number and int(number) for number in numbers]
    sends_cookies = manner is not Manner.PASSING
    assert [request.headers.get("cookie") for request in services.asked if request.method == "POST"] == (
        ["voter_id=ann.x; ballot=y"] * 2 if sends_cookies else [None, None]
    )


REQUEST = httpx.Request("POST", "http://a")


@pytest.mark.parametrize(
    ("answer", "outcome", "has_ended"),
    [
        (lambda: httpx.Response(202, json={"cast_at": "now"}), ACCEPTED, True),
        (lambda: httpx.Response(503), IN_DOUBT, True),
        (lambda: httpx.Response(429), REFUSED, True),
        (lambda: httpx.ConnectError("refused", request=REQUEST), REFUSED, True),
        (lambda: httpx.ReadError("cut off", request=REQUEST), IN_DOUBT, True),
        (lambda: httpx.RemoteProtocolError("cut off", request=REQUEST), IN_DOUBT, True),
        (lambda: httpx.ReadTimeout("given up", request=REQUEST), IN_DOUBT, False),
    ],
)
async def test_only_a_vote_that_was_never_sent_or_was_refused_is_surely_not_counted(
    services: Services,
    path: Path,
    answer: Callable[[], httpx.Response | Exception],
    outcome: Outcome,
    has_ended: bool,
) -> None:
    """And one that was given up may still be on its way at any later time."""
    services.answer = answer()
    voter = services.voter(Manner.NUMBERING)
    assert await voter.vote() is (outcome is ACCEPTED)

    (cast,) = read_ledger(path)
    assert (cast.outcome, cast.answered < float("inf")) == (outcome, has_ended)


async def test_who_was_not_told_that_its_vote_is_accepted_goes_to_the_other_service(
    services: Services, path: Path
) -> None:
    services.answer = httpx.ReadTimeout("given up", request=REQUEST)
    voter = services.voter(Manner.SCRIPT)
    await voter.arrive()
    await voter.vote()
    services.answer = httpx.Response(303, headers=COOKIES)
    await voter.vote()

    assert [(cast.service, cast.number) for cast in read_ledger(path)] == [("A", 11), ("B", 12)]
    assert [cast.voter for cast in read_ledger(path)] == ["ann", "ann"]

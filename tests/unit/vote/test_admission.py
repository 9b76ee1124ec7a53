"""Rate limits: a voter, and an address, may send only so many votes a minute; a hall behind one address may vote."""

from collections.abc import Callable
from typing import Any

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from common.health import Health
from common.settings import Settings
from common.web import Refused
from tests.fakes import FakeVoteQueue
from vote.admission import WINDOW_SECONDS, RateLimit, Source, source_of
from vote.app import create_app

PEER: dict[str, Any] = {"client": ("198.51.100.7", 50000)}
NEIGHBOUR: dict[str, Any] = {"client": ("198.51.100.8", 50000)}
THIS_MACHINE: dict[str, Any] = {"client": ("127.0.0.1", 50000)}
JSON = {"Content-Type": "application/json"}


class Clock:
    def __init__(self) -> None:
        self.now = 60_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limited(queue: FakeVoteQueue, *, per_voter: int = 0, per_address: int = 0) -> Quart:
    settings = Settings(limit_per_voter=per_voter, limit_per_address=per_address)
    return create_app(settings, Pushed(queue), Health())


class Pushed:
    """Pushes each vote by itself."""

    def __init__(self, queue: FakeVoteQueue) -> None:
        self._queue = queue

    async def push(self, message: bytes, *, is_wanted: Callable[[], bool] = lambda: True) -> None:
        await self._queue.push([message])


async def cast(client: Client, scope: dict[str, Any], path: str = "/api/votes") -> int:
    body: dict[str, Any] = {"json": {"vote": "a"}} if path == "/api/votes" else {"form": {"vote": "a"}}
    return (await client.post(path, scope_base=scope, **body)).status_code


def test_one_too_many_is_refused_until_the_minute_is_over(clock: Clock) -> None:
    limit = RateLimit("voter", 2, now=clock)
    clock.now += 20
    limit.count("x")
    limit.count("x")

    with pytest.raises(Refused) as refused:
        limit.count("x")

    assert refused.value.status == 429
    assert refused.value.headers == {"Retry-After": "40"}
    limit.count("somebody else")
    clock.now += 40
    limit.count("x")


def test_what_is_counted_is_forgotten_with_its_minute(clock: Clock) -> None:
    limit = RateLimit("voter", 10, now=clock)
    limit.count("x")
    clock.now += WINDOW_SECONDS

    assert limit.unshared() == {}


def test_a_flood_of_strangers_takes_no_more_memory_than_it_may(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vote.admission.MOST_COUNTED", 3)
    limit = RateLimit("address", 1, now=clock)

    for number in range(10):
        limit.count(str(number))

    assert len(limit.unshared()) == 3
    with pytest.raises(Refused):
        limit.count("0")


@pytest.mark.parametrize("path", ["/", "/api/votes"])
async def test_a_voter_who_votes_too_often_is_refused_and_nobody_else(queue: FakeVoteQueue, path: str) -> None:
    app = limited(queue, per_voter=3)
    eager, other = app.test_client(), app.test_client()
    await eager.get("/", scope_base=PEER)

    answers = [await cast(eager, PEER, path) for _ in range(5)]

    assert answers[3:] == [429, 429]
    assert 429 not in answers[:3]
    assert await cast(other, PEER, path) == (303 if path == "/" else 202)
    assert len(queue.messages) == 4


@pytest.mark.parametrize("path", ["/", "/api/votes"])
async def test_an_address_is_counted_before_anything_is_read_and_a_voter_after(queue: FakeVoteQueue, path: str) -> None:
    browser, flood = limited(queue, per_voter=1).test_client(), limited(queue, per_address=1).test_client()
    content_type = {"Content-Type": "application/json" if path != "/" else "application/x-www-form-urlencoded"}
    await browser.get("/", scope_base=PEER)

    async def nonsense(client: Client) -> int:
        return (await client.post(path, data=b"nonsense", headers=content_type, scope_base=PEER)).status_code

    assert [await nonsense(browser) for _ in range(3)] == [400] * 3
    assert await cast(browser, PEER, path) == (303 if path == "/" else 202)
    assert await cast(browser, PEER, path) == 429
    assert [await nonsense(flood) for _ in range(3)] == [400, 429, 429]


async def test_an_address_that_sends_too_many_is_refused_whoever_votes_and_no_other(queue: FakeVoteQueue) -> None:
    app = limited(queue, per_address=3)

    answers = [await cast(app.test_client(use_cookies=False), PEER) for _ in range(5)]

    assert answers == [202, 202, 202, 429, 429]
    assert await cast(app.test_client(), NEIGHBOUR) == 202


async def test_a_network_of_48_bits_has_a_limit_however_many_networks_of_64_bits_it_has(queue: FakeVoteQueue) -> None:
    app = limited(queue, per_address=2)

    async def votes_from(household: int, network: str = "2001:db8:1") -> int:
        peer = {"client": (f"{network}:{household:x}::1", 50000)}
        return await cast(app.test_client(use_cookies=False), peer)

    assert [await votes_from(household) for household in range(25)] == [202] * 20 + [429] * 5
    assert await votes_from(0, "2001:db8:2") == 202


async def test_one_household_does_not_use_up_what_its_network_has(queue: FakeVoteQueue) -> None:
    app = limited(queue, per_address=2)
    flood, neighbour = ({"client": (f"2001:db8:1:{household}::1", 50000)} for household in (1, 2))

    answers = [await cast(app.test_client(use_cookies=False), flood) for _ in range(50)]

    assert answers == [202] * 2 + [429] * 48
    assert await cast(app.test_client(use_cookies=False), neighbour) == 202


async def test_this_machine_itself_is_not_limited(queue: FakeVoteQueue) -> None:
    """Its owner puts load on it; or a proxy runs here that nobody named, and all voters seem to be one address."""
    app = limited(queue, per_address=1)

    assert [await cast(app.test_client(), THIS_MACHINE) for _ in range(3)] == [202] * 3


async def test_reading_is_not_limited(queue: FakeVoteQueue) -> None:
    client = limited(queue, per_voter=1, per_address=1).test_client()

    assert [(await client.get("/", scope_base=PEER)).status_code for _ in range(3)] == [200] * 3


async def test_no_limit_means_no_limit(queue: FakeVoteQueue) -> None:
    client = limited(queue).test_client()

    assert [await cast(client, PEER) for _ in range(20)] == [202] * 20


async def test_the_refusal_says_what_to_do_in_json_and_in_the_page(queue: FakeVoteQueue) -> None:
    app = limited(queue, per_address=1)
    await cast(app.test_client(), PEER)

    program = await app.test_client().post("/api/votes", json={"vote": "a"}, scope_base=PEER)
    browser = await app.test_client().post("/", form={"vote": "a"}, scope_base=PEER)

    error = (await program.get_json())["error"]
    assert error["code"] == "too_many_votes"
    assert "your network" in error["message"]
    for response in (program, browser):
        assert response.status_code == 429
        assert 1 <= int(response.headers["Retry-After"]) <= WINDOW_SECONDS
    page = await browser.get_data(as_text=True)
    assert "Too many votes came from your network" in page
    assert 'name="vote"' in page  # the ballot is still there


async def test_a_refused_vote_is_counted_in_a_metric(queue: FakeVoteQueue) -> None:
    client = limited(queue, per_address=1).test_client()

    async def refusals() -> float:
        text = await (await client.get("/metrics")).get_data(as_text=True)
        return next(
            float(line.split()[1]) for line in text.splitlines() if 'votes_limited_total{per="address"}' in line
        )

    before = await refusals()
    await cast(client, PEER)
    await cast(client, PEER)

    assert await refusals() == before + 1


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("198.51.100.7", Source("198.51.100.7")),
        ("2001:db8:1:2:3:4:5:6", Source("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("2001:db8:1:2:ffff::1", Source("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("fe80::1%eth0", Source("fe80::/64", "fe80::/48")),
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("<local>", None),
        (None, None),
    ],
)
def test_an_address_is_counted_for_whom_it_belongs_to(address: str | None, source: Source | None) -> None:
    assert source_of(address) == source


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:198.51.100.7",
        "2002:c633:6407::1",  # 6to4: who has an IPv4 address has 2^80 of these
        "2002:c633:6407:ffff::1",
        "2001:0:4136:e378:8000:63bf:39cc:9bf8",  # Teredo: the last 32 bits, inverted
        "64:ff9b::198.51.100.7",  # NAT64: everybody's IPv4 is in this network of 96 bits
        "::ffff:0:198.51.100.7",  # SIIT
    ],
)
def test_an_ipv4_address_in_disguise_is_counted_for_the_same(address: str) -> None:
    assert source_of(address) == Source("198.51.100.7")


def test_a_disguise_makes_nobody_this_machine_itself() -> None:
    """Loopback is not limited; a packet that says so from outside is a lie, or a fault."""
    for address in ("2002:7f00:1::1", "64:ff9b::127.0.0.1", "::ffff:0:127.0.0.1"):
        assert source_of(address) == Source("127.0.0.1")


def test_addresses_of_a_translator_of_its_own_are_counted_one_by_one() -> None:
    """Where the IPv4 address is in them only its operator knows, and nobody may choose one."""
    assert source_of("64:ff9b:1::1") == Source("64:ff9b:1::1")
    assert source_of("64:ff9b:1::2") == Source("64:ff9b:1::2")

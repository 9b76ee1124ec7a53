"""A great many requests on raw sockets: good ones in all the ways to write them, and bad ones of every kind.

`make fuzz EXAMPLES=100000` makes so many; `make test` a few hundred. What is tried comes from a seed, which a failure
names with the number of the connection, so that it can be made again: `make fuzz SEED=...`.
"""

import asyncio
import re
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from random import Random
from typing import NamedTuple

import pytest

from common.connections import EXCHANGE_SECONDS, HEADERS_SECONDS, LINGER_SECONDS
from common.web import BODY_SECONDS
from tests.robustness.conftest import Services
from tests.robustness.figures import REQUESTS, SEED, tried
from tests.robustness.odd_requests import PLAIN, malformed, pieces, written
from tests.robustness.raw import STATUS, assert_no_fault
from tests.robustness.test_connections import memory
from tests.services import Service
from tests.waiting import eventually

AT_ONCE = 200  # connections
GOOD = 20  # one connection of so many has good requests only
IN_A_ROW = 10  # requests on one connection, when all are good
# However a connection is left: the longest that a state may last, and what so many at once on a busy machine add.
END_SECONDS = max(HEADERS_SECONDS, BODY_SECONDS) + LINGER_SECONDS + 30
WARM_UP = 0.2  # of all: after it, memory must not grow any more
GROWTH = 1.3
SPARE_BYTES = 30_000_000
# 503 says that a server did not answer in time, which happens where the machine has other things to do. And who has
# gone, or seems to because it says nothing more, is told that its vote was not recorded.
UNAVAILABLE = b"HTTP/1.1 503 "
MOST_UNAVAILABLE = 0.02  # of all, not counting those
CODE = re.compile(rb'"code": ?"(\w+)"')
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)")


class Answer(NamedTuple):
    """What the service says."""

    status: int
    code: bytes  # of the error, in JSON
    is_last: bool  # on this connection


class Tried:
    """How many requests were made, and how many were answered that something is unavailable."""

    def __init__(self) -> None:
        self.requests = 0
        self.unavailable = 0


class Fault(AssertionError):
    """What was tried and went wrong, so that it can be tried again."""

    def __init__(self, services: Services, number: int, sent: bytes, what: str) -> None:
        said = "\n".join(line[-3000:] for line in services.complaints()[-5:])
        super().__init__(f"SEED={SEED}, connection {number}: {what}\nsent {sent[:3000]!r}\nlogged {said}")


def running(services: Services, name: str) -> Service:
    found = {"vote": services.vote, "result": services.result, "worker": services.worker}
    return found[name]


async def opened(services: Services, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = running(services, name).url.removeprefix("http://").partition(":")
    return await asyncio.open_connection(host, int(port))


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """The next answer on a connection, without what only announces one."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        found = STATUS.match(head)
        assert found, head
        if not found[1].startswith(b"1"):
            break
    length = LENGTH.search(head.lower())
    assert length, head
    body = await reader.readexactly(int(length[1]))
    assert_no_fault((head + body).replace(UNAVAILABLE, b""))
    code = CODE.search(body)
    return Answer(int(found[1]), code[1] if code else b"", b"\r\nconnection: close\r\n" in head.lower())


async def send(writer: asyncio.StreamWriter, parts: Iterable[bytes]) -> None:
    """Each part by itself, so that it is read by itself."""
    with suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)


async def try_good(services: Services, number: int, so_far: Tried) -> None:
    """Good requests on one connection, each answered as it is when it is written plainly."""
    random = Random(f"{SEED}-{number}")
    name = random.choice(["vote", "vote", "vote", "result", "worker"])
    of_this = [plain for plain in PLAIN if plain.service == name]
    sent = b""
    reader, writer = await opened(services, name)
    try:
        for _ in range(IN_A_ROW):
            some = random.choices(of_this, k=random.choice([1, 1, 1, 2, 3]))
            text = b"".join(written(plain, random) for plain in some)
            sent += text
            await send(writer, pieces(text, random))
            for plain in some:
                async with asyncio.timeout(END_SECONDS):
                    answer = await read_answer(reader)
                so_far.requests += 1
                if answer.status == 503:
                    so_far.unavailable += 1
                elif answer.status != plain.status:
                    raise Fault(services, number, text, f"{answer} in place of {plain.status}")
                if answer.is_last:  # it was refused before all of it had come
                    return
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
        raise Fault(services, number, sent, f"no answer: {error!r}") from error
    finally:
        writer.close()


async def try_bad(services: Services, number: int, so_far: Tried) -> None:
    """Anything, and then an end of any kind, or none; the service must end the connection, whatever it was."""
    random = Random(f"{SEED}-{number}")
    name = random.choice(["vote", "vote", "result", "result", "worker"])
    sent = malformed(random)
    end = random.choices(["half", "reset", "close", "hold"], [60, 16, 22, 2])[0]
    reader, writer = await opened(services, name)
    try:
        await send(writer, pieces(sent, random))
        received = await until_the_end(reader, writer, end)
        assert_no_fault(received.replace(UNAVAILABLE, b""))
    except (TimeoutError, AssertionError) as error:
        raise Fault(services, number, sent, f"{name} ({end}): {error!r}") from None
    finally:
        writer.close()
    so_far.requests += 1
    if name != "vote" or end != "half":
        so_far.unavailable += received.count(UNAVAILABLE)


async def until_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, end: str) -> bytes:
    """What comes until the service ends the connection; nothing if we do. Raises TimeoutError when it does not."""
    if end == "reset":
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if end in ("reset", "close"):
        return b""
    if end == "half":
        with suppress(OSError):
            writer.write_eof()
    received = b""
    async with asyncio.timeout(END_SECONDS):
        with suppress(ConnectionError):
            while chunk := await reader.read(65536):
                received += chunk
                if b"HTTP/1.1 101" in received and end == "hold":  # a viewer may stay
                    break
    return received


async def try_many(services: Services, numbers: range, so_far: Tried) -> None:
    """Connections with these numbers, many at once, until there have been so many requests."""
    enough = so_far.requests + len(numbers)
    waiting = iter(numbers)

    async def one_after_another() -> None:
        for number in waiting:
            if so_far.requests >= enough:
                return
            await (try_good if number % GOOD == 0 else try_bad)(services, number, so_far)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(AT_ONCE, 1 + len(numbers) // 20)):
            tasks.create_task(one_after_another())


def nobody_is_left(service: Service) -> None:
    """Every connection has ended but that of whoever asks."""
    eventually(lambda: service.metric("connections_open") == 1, within=END_SECONDS + EXCHANGE_SECONDS)


@pytest.mark.timeout(120 + REQUESTS // 20)
async def test_no_request_is_a_fault_or_is_held_or_kept(services: Services) -> None:
    """No 5xx, no error in a log, no connection that stays, no memory that grows; and the services go on as before."""
    all_three = {name: running(services, name) for name in ("vote", "result", "worker")}
    warm = int(REQUESTS * WARM_UP)
    so_far = Tried()
    await try_many(services, range(warm), so_far)
    before = {name: memory(each) for name, each in all_three.items()}
    await try_many(services, range(warm, REQUESTS), so_far)
    tried(f"requests of the fuzz, SEED={SEED}", so_far.requests)
    tried("of these answered with 503, by a machine that is busy", so_far.unavailable)

    for each in all_three.values():
        await asyncio.to_thread(nobody_is_left, each)
    eventually(lambda: services.result.metric("viewers") == 0, within=END_SECONDS)
    after = {name: memory(each) for name, each in all_three.items()}
    assert [line for line in services.complaints() if '"pushing_failed"' not in line] == []
    assert so_far.unavailable <= MOST_UNAVAILABLE * so_far.requests
    assert {name: size for name, size in after.items() if size > GROWTH * before[name] + SPARE_BYTES} == {}
    assert services.all_alive()
    eventually(lambda: votes(services.vote), within=20, saying="a vote is taken")


def votes(vote: Service) -> bool:
    return vote.client.post(f"{vote.url}/api/votes", json={"vote": "a"}).status_code == 202

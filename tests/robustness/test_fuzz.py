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
from tests.robustness.odd_requests import PLAIN, Plain, malformed, pieces, written
from tests.robustness.raw import STATUS, assert_no_fault
from tests.robustness.test_connections import memory
from tests.services import Service
from tests.waiting import BUSY_SECONDS, eventually

AT_ONCE = 200  # connections
GOOD = 20  # one connection of so many has good requests only
IN_A_ROW = 10  # requests on one connection, when all are good
# However a connection is left: the longest that a state may last, and what a busy machine adds.
END_SECONDS = max(HEADERS_SECONDS, BODY_SECONDS) + LINGER_SECONDS + 3 * BUSY_SECONDS
WARM_UP = 0.2  # of all: after it, memory must not grow any more
GROWTH = 1.3
SPARE_BYTES = 30_000_000
CODE = re.compile(rb'"code": ?"(\w+)"')
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)")


class Answer(NamedTuple):
    """What the service says."""

    status: int
    code: bytes  # of the error, in JSON
    is_last: bool  # on this connection


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
    assert_no_fault(head + body)
    code = CODE.search(body)
    return Answer(int(found[1]), code[1] if code else b"", b"\r\nconnection: close\r\n" in head.lower())


async def send(writer: asyncio.StreamWriter, parts: Iterable[bytes]) -> None:
    """Each part by itself, so that it is read by itself."""
    with suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)


async def try_good(services: Services, number: int) -> int:
    """Good requests on one connection, each answered as it is when it is written plainly; returns how many."""
    random = Random(f"{SEED}-{number}")
    name = random.choice(["vote", "vote", "vote", "result", "worker"])
    of_this = [plain for plain in PLAIN if plain.service == name]
    asked: list[Plain] = []
    sent = b""
    reader, writer = await opened(services, name)
    try:
        for _ in range(IN_A_ROW):
            some = random.choices(of_this, k=random.choice([1, 1, 1, 2, 3]))
            text = b"".join(written(plain, random) for plain in some)
            asked, sent = asked + some, sent + text
            await send(writer, pieces(text, random))
            for plain in some:
                async with asyncio.timeout(END_SECONDS):
                    answer = await read_answer(reader)
                if answer.status != plain.status:
                    raise Fault(services, number, text, f"{answer} in place of {plain.status}")
                if answer.is_last:  # it was refused before all of it had come
                    return len(asked)
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
        raise Fault(services, number, sent, f"no answer: {error!r}") from error
    finally:
        writer.close()
    return len(asked)


async def try_bad(services: Services, number: int) -> int:
    """Anything, and then an end of any kind, or none; the service must end the connection, whatever it was."""
    random = Random(f"{SEED}-{number}")
    name = random.choice(["vote", "vote", "result", "result", "worker"])
    sent = malformed(random)
    end = random.choices(["half", "reset", "close", "hold"], [60, 16, 22, 2])[0]
    received = b""
    reader, writer = await opened(services, name)
    try:
        await send(writer, pieces(sent, random))
        with suppress(ConnectionError, OSError):
            if end == "half":
                writer.write_eof()
            if end in ("half", "hold"):
                async with asyncio.timeout(END_SECONDS):
                    while chunk := await reader.read(65536):
                        received += chunk
                        if b"HTTP/1.1 101" in received and end == "hold":  # a viewer may stay
                            break
            elif end == "reset":
                connection: socket.socket = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except TimeoutError:
        raise Fault(services, number, sent, f"{name} holds the connection ({end}) after {received[:300]!r}") from None
    finally:
        writer.close()
    try:
        assert_no_fault(received)
    except AssertionError as error:
        raise Fault(services, number, sent, f"{name} ({end}) answered {error}") from None
    return 1


async def try_many(services: Services, numbers: range) -> int:
    """Connections with these numbers, many at once, until there have been so many requests; returns how many."""
    made = 0
    waiting = iter(numbers)

    async def one_after_another() -> None:
        nonlocal made
        for number in waiting:
            if made >= len(numbers):
                return
            done = await (try_good if number % GOOD == 0 else try_bad)(services, number)
            made += done

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(AT_ONCE, 1 + len(numbers) // 20)):
            tasks.create_task(one_after_another())
    return made


def nobody_is_left(service: Service) -> None:
    """Every connection has ended but that of whoever asks."""
    eventually(lambda: service.metric("connections_open") == 1, within=END_SECONDS + EXCHANGE_SECONDS)


@pytest.mark.timeout(120 + REQUESTS // 20)
async def test_no_request_is_a_fault_or_is_held_or_kept(services: Services) -> None:
    """No 5xx, no error in a log, no connection that stays, no memory that grows; and the services go on as before."""
    all_three = {name: running(services, name) for name in ("vote", "result", "worker")}
    warm = int(REQUESTS * WARM_UP)
    made = await try_many(services, range(warm))
    before = {name: memory(each) for name, each in all_three.items()}
    made += await try_many(services, range(warm, REQUESTS))
    tried(f"requests of the fuzz, SEED={SEED}", made)

    for each in all_three.values():
        await asyncio.to_thread(nobody_is_left, each)
    eventually(lambda: services.result.metric("viewers") == 0, within=END_SECONDS)
    after = {name: memory(each) for name, each in all_three.items()}
    assert services.complaints() == []
    assert {name: size for name, size in after.items() if size > GROWTH * before[name] + SPARE_BYTES} == {}
    assert services.all_alive()
    assert services.vote.client.post(f"{services.vote.url}/api/votes", json={"vote": "a"}).status_code == 202

"""What the load test can't do, it says in one line that also says what to do."""

import asyncio

import pytest

from tests.loadtest.conftest import LoadTest
from tests.ports import free_port

pytestmark = pytest.mark.timeout(60)


async def test_a_dead_system_ends_with_a_clear_line(loadtest: LoadTest) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    outcome = await loadtest.run("headless", VOTE_URL=nobody, RESULT_URL=nobody)

    assert outcome.code == 1
    assert "make up starts the system" in outcome.output
    assert len(outcome.output.splitlines()) == 1


async def test_where_nothing_runs_it_says_how_to_start_it(loadtest: LoadTest) -> None:
    outcome = await loadtest.run("headless")

    assert outcome.code == 1
    assert "make up" in outcome.output
    assert len(outcome.output.splitlines()) == 1


async def test_a_taken_port_is_named_with_its_setting(loadtest: LoadTest) -> None:
    async def ready(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(ready, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    async with server:
        outcome = await loadtest.run("ui", VOTE_URL=url, RESULT_URL=url, LOADTEST_PORT=str(port))

    assert outcome.code == 1
    assert f"can't listen on 127.0.0.1 port {port}" in outcome.output
    assert "LOADTEST_PORT" in outcome.output


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"SHAPE": "triangle"}, "SHAPE=triangle is not a shape"),
        ({"MODEL": "closed"}, "MODEL=closed is not a model"),
        ({"USERS": "many"}, "USERS=many is not a number"),
        ({"PROCESSES": "0"}, "PROCESSES=0 is less than 1"),
        ({"VOTE_URL": "http://localhost:1"}, "set both VOTE_URL and RESULT_URL"),
        ({"LIMITS": "nowhere.toml"}, "the limits in nowhere.toml can't be read"),
    ],
)
async def test_a_wrong_setting_is_named(loadtest: LoadTest, settings: dict[str, str], words: str) -> None:
    outcome = await loadtest.run("headless", **settings)

    assert outcome.code == 1
    assert words in outcome.output
    assert len(outcome.output.splitlines()) == 1

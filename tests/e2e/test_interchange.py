"""Programs that know nothing of cookies vote as well: each of their votes is a voter."""

import json
import shutil
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from local.running import Running
from tests.waiting import eventually

# As ApacheBench sends it.
REQUEST = (
    b"POST / HTTP/1.0\r\n"
    b"Host: localhost\r\n"
    b"User-Agent: ApacheBench/2.3\r\n"
    b"Accept: */*\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 6\r\n"
    b"\r\n"
    b"vote=a"
)


def test_posts_of_http_1_0_without_cookies_are_separate_voters(poll: Running) -> None:
    answers = {_exchange(poll.vote_url) for _ in range(20)}
    assert answers == {303}
    _expect_total(poll, 20)


def test_apache_bench_works_unchanged(poll: Running, tmp_path: Path) -> None:
    bench = shutil.which("ab")
    if bench is None:
        pytest.skip("no ab (ApacheBench) on PATH")
    body = tmp_path / "body"
    body.write_text("vote=b")
    form = "application/x-www-form-urlencoded"
    command = [bench, "-n", "200", "-c", "20", "-p", str(body), "-T", form, f"{poll.vote_url}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert "Complete requests:      200" in done.stdout
    _expect_total(poll, 200)


def _exchange(url: str) -> int:
    address = urlsplit(url)
    with socket.create_connection(("127.0.0.1", address.port or 80), timeout=20) as connection:
        connection.sendall(REQUEST)
        answer = connection.makefile("rb").read()
    return int(answer.split()[1])


def _expect_total(poll: Running, total: int) -> None:
    def shown() -> bool:
        return bool(json.loads(httpx.get(f"{poll.result_url}/api/tally").text)["total"] == total)

    eventually(shown, within=20, saying=f"{total} votes are shown")

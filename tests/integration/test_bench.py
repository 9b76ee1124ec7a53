"""What the benchmark compares us with runs: the vote service under plain Hypercorn, and a bare WebSocket server."""

import sys
from pathlib import Path

from redis import Redis

from bench.edits.traffic import cast_one
from bench.processes import Shell, answers
from bench.settings import HOST, PROJECT, clean_environment
from bench.speed.place import place
from bench.speed.stage import FIGURE
from bench.speed.viewers import watched
from local import servers
from local.ports import free_port


def test_a_vote_that_plain_hypercorn_accepts_is_in_the_queue(redis: servers.Server, tmp_path: Path) -> None:
    port = free_port(HOST)
    shell = Shell(PROJECT, clean_environment(), tmp_path / "log")
    command = ("-m", "hypercorn", "bench.edits.asgi:app", "--reload", "--bind", f"127.0.0.1:{port}")
    with Redis.from_url(redis.url) as console:
        before = int(console.llen("votes"))
        with shell.serve(sys.executable, *command, ready=answers(port), REDIS_URL=redis.url):
            assert cast_one(f"http://127.0.0.1:{port}").status_code == 202
        assert int(console.llen("votes")) == before + 1


def test_every_viewer_gets_the_updates_of_the_bare_server(tmp_path: Path) -> None:
    with place(tmp_path / "run", 1) as here, here.server("bench.speed.bare", "viewers", "{port}", "20") as server:
        figures = watched(here, server, 20)
    assert figures["slowest viewer"] > 1
    assert 0 < figures["p50 ms"] <= figures["p99 ms"]
    assert figures[FIGURE] > 0

"""What the benchmark compares edits with: the vote service under Hypercorn's own command."""

import sys
from pathlib import Path

from redis import Redis

from bench.edits.traffic import cast_one
from bench.processes import Shell, answers, free_port
from bench.settings import PROJECT, clean_environment
from local import servers


def test_a_vote_that_plain_hypercorn_accepts_is_in_the_queue(redis: servers.Server, tmp_path: Path) -> None:
    port = free_port()
    shell = Shell(PROJECT, clean_environment(), tmp_path / "log")
    command = ("-m", "hypercorn", "bench.edits.asgi:app", "--reload", "--bind", f"127.0.0.1:{port}")
    with Redis.from_url(redis.url) as console:
        before = int(console.llen("votes"))
        with shell.serve(sys.executable, *command, ready=answers(port), REDIS_URL=redis.url):
            assert cast_one(f"http://127.0.0.1:{port}").status_code == 202
        assert int(console.llen("votes")) == before + 1

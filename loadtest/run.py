"""One run: its folder, what it measured, and its verdict. It lives where the ledgers come together."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust.env import Environment
from locust.runners import MasterRunner

from loadtest import LoadTestError
from loadtest.figures import judge
from loadtest.measures import CpuMeter, measured, pids, table
from loadtest.settings import PROJECT, data_folder, limits, target

LOOK_SECONDS = 2.0
TELL_EVERY = 5  # looks
WARM_UP_SECONDS = 60.0
MEGABYTE = 1_000_000


class Run:
    """From the first user to the audit."""

    def __init__(self, environment: Environment) -> None:
        self.folder = new_folder()
        self.result: dict[str, Any] | None = None
        self.problem = ""
        self._environment = environment
        self._audit("before")
        self.began = time.monotonic()
        self._seconds = 0.0
        self._memory: list[tuple[float, float]] = []  # one every two seconds, 32 bytes
        self._cpu = CpuMeter(pids())
        self._shares: dict[str, float] = {}
        self._watching = gevent.spawn(self._watch)

    def stop(self) -> None:
        self._watching.kill()
        self._seconds = time.monotonic() - self.began
        self._shares = self._cpu.shares()

    def finish(self) -> None:
        """Audit, judge, and write everything down."""
        if not self.problem:
            self._audit("after")
        self.result = self._judge()
        (self.folder / "result.json").write_text(json.dumps(self.result, indent=2) + "\n", encoding="utf-8")

    def progress(self) -> str:
        second = time.monotonic() - self.began
        now = measured(self._environment, second)
        figures = ", ".join(f"{name} {value:g}" for name, value in now.figures().items() if value is not None)
        users = self._environment.runner.user_count if self._environment.runner else 0
        return f"{second:6.0f} s  {users} users  {now.votes:,} votes  {figures}"

    def _judge(self) -> dict[str, Any]:
        now = measured(self._environment, self._seconds)
        audit = {"ok": False, "problems": [self.problem], "notes": []}
        if not self.problem:
            audit = json.loads((self.folder / "audit.json").read_text())
        judgements = [] if os.environ.get("LIMITS_OFF") else judge(now, limits()["limits"])
        problems = [] if now.votes else ["no vote was accepted"]
        search = getattr(self._environment.shape_class, "search", None)
        if search is not None:
            judgements = []  # it goes on until they break
            problems += [] if search.best else ["no step stayed within the limits"]
        return {
            "run": self.folder.name,
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "vote_url": self._environment.host,
            "seconds": round(self._seconds, 1),
            "votes": now.votes,
            "votes_per_second": round(now.votes_per_second, 1),
            **now.figures(),
            "cores_used": self._shares,
            "memory": self._growth(),
            "table": table(self._environment),
            "search": [asdict(step) for step in search.steps] if search else [],
            "search_in_words": search.in_words() if search else [],
            "limits": [one.as_json() for one in judgements],
            "limits_in_words": [one.in_words() for one in judgements],
            "audit": audit,
            "problems": problems,
            "ok": audit["ok"] and not problems and all(one.holds for one in judgements),
        }

    def _audit(self, moment: str) -> None:
        """In a process of its own, because asyncio and gevent do not share one."""
        try:
            environment = os.environ | target().environment()
        except LoadTestError as error:
            self.problem = str(error)
            return
        command = [sys.executable, "-m", "loadtest", "audit", moment, str(self.folder)]
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
        if done.returncode:
            self.problem = (done.stderr.strip().splitlines() or ["the audit failed without giving a reason"])[-1]

    def _watch(self) -> None:
        while True:
            gevent.sleep(LOOK_SECONDS)
            self._memory.append((time.monotonic() - self.began, self._megabytes()))
            if self._environment.web_ui is None and len(self._memory) % TELL_EVERY == 0:
                print(self.progress(), flush=True)

    def _megabytes(self) -> float:
        runner = self._environment.runner
        assert runner is not None
        workers = runner.clients.values() if isinstance(runner, MasterRunner) else ()
        return float(runner.current_memory_usage + sum(worker.memory_usage for worker in workers)) / MEGABYTE

    def _growth(self) -> dict[str, float]:
        warm = [megabytes for second, megabytes in self._memory if second >= WARM_UP_SECONDS]
        if len(warm) < 2:
            return {}
        minutes = (self._memory[-1][0] - WARM_UP_SECONDS) / 60
        return {
            "after_warm_up_mb": round(warm[0], 1),
            "end_mb": round(warm[-1], 1),
            "growth_mb": round(warm[-1] - warm[0], 1),
            "minutes": round(minutes, 1),
        }


def new_folder() -> Path:
    """A folder for a run, named by the time."""
    runs = data_folder() / "loadtest"
    name = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    for number in range(1, 100):
        folder = runs / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise LoadTestError(f"{runs} has too many runs of this second")

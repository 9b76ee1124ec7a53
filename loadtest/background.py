"""A load test beside a drill: it goes on until it is told to end, and leaves its result in a folder of its own."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from loadtest import LoadTestError
from loadtest.settings import PROJECT, data_folder, target
from proof.waiting import TooLate, eventually

BEGIN_SECONDS = 60.0
MORE_SECONDS = 1800.0  # than the drill should take: it ends the load itself


class Load:
    """The load test, without limits: a system that is being killed is not fast."""

    def __init__(self, users: int, seconds: float, **settings: str) -> None:
        self._before = _folders()
        settings |= {
            "USERS": str(users),
            "SPAWN_RATE": str(users),
            "RUN_TIME": f"{seconds + MORE_SECONDS:.0f}s",
            "SHAPE": "",
            "LIMITS_OFF": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtest", "headless"],
            cwd=PROJECT,
            env=os.environ | target().environment() | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._process.terminate()
        with self._process:
            pass  # closes its output, and waits for its end

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def wait_for_users(self) -> bool:
        """Wait until the load test has read its baseline; False if it never does."""

        def has_begun() -> bool:
            return self.has_ended or any((folder / "before.json").exists() for folder in self._new_folders())

        with suppress(TooLate):
            eventually(has_begun, within=BEGIN_SECONDS)
            return not self.has_ended
        return False

    def end(self) -> tuple[Path, dict[str, Any]]:
        """End it, and wait for the audit; returns the folder of the run and its result."""
        if not self.has_ended:
            self._process.send_signal(signal.SIGINT)
        output, _ = self._process.communicate()
        new = self._new_folders()
        if not new or not (new[-1] / "result.json").exists():
            print(output, file=sys.stderr)
            raise LoadTestError("the load test under the drill ended without a result: see above")
        return new[-1], json.loads((new[-1] / "result.json").read_text())

    def _new_folders(self) -> list[Path]:
        return sorted(_folders() - self._before)


def _folders() -> set[Path]:
    return set((data_folder() / "loadtest").glob("2*"))

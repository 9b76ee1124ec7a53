"""Tilt in a copy of the project: its own port, its own Compose project, and nothing of either left at the end."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stack.compose import Compose
from tests.stack.flake import copy_of_the_project
from tests.system import processes_of
from tests.waiting import eventually

CI_SECONDS = 280.0
READY_SECONDS = 150.0
STOP_SECONDS = 40.0
API = "/proxy/apis/tilt.dev/v1alpha1"
# A Tilt built from source serves its page through a second port: any free one, where the default may be a client's.
ANY_PORT = "--webdev-port=0"


def need_tilt() -> None:
    """Skip what needs Tilt where there is none."""
    if not shutil.which("tilt"):
        pytest.skip("no tilt on PATH")


class Tilt:
    """The Tiltfile of a copy."""

    def __init__(self, folder: Path) -> None:
        self.folder = copy_of_the_project(folder)
        # what `make` would install into it is installed here
        (self.folder / ".venv").symlink_to(sys.prefix)
        self.compose = Compose(self.folder, "docker-compose.yml")
        self._port = self.compose.settings["TILT_PORT"]
        self.url = f"http://localhost:{self._port}"
        self._environ = self.compose.environ | {"DATA_DIR": str(self.folder / ".data"), "DO_NOT_TRACK": "1"}
        self.log = self.folder.parent / f"{self.folder.name}.log"

    def __repr__(self) -> str:
        return f"Tilt({self.folder})"

    def run(self, *arguments: str) -> tuple[int, str]:
        """The exit code of `tilt ARGUMENTS`, and all it said."""
        done = subprocess.run(
            ["tilt", *arguments],
            cwd=self.folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=CI_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout

    def ci(self, *resources: str) -> tuple[int, str]:
        """`tilt ci` of these resources and what they need; its containers are removed."""
        try:
            return self.run("ci", ANY_PORT, "--", *resources)
        finally:
            self.compose.remove()

    @contextmanager
    def up(self, *arguments: str) -> Iterator["Tilt"]:
        """`tilt up`; at the end nothing of it runs any more."""
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                ["tilt", "up", "--stream", ANY_PORT, "--", *arguments],
                cwd=self.folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            eventually(self.resources, within=READY_SECONDS, despite=(httpx.HTTPError, KeyError))
            yield self
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_SECONDS)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                self.compose.remove()
        eventually(lambda: not processes_of(self.folder / ".data"), within=STOP_SECONDS, saying="no process is left")

    def resources(self) -> dict[str, dict[str, Any]]:
        """Every resource with its state, as Tilt's page gets them; disabled ones are left out."""
        found = {item["metadata"]["name"]: item for item in self._get("uiresources")["items"]}
        return {name: item for name, item in found.items() if not disabled(item)}

    def state(self, name: str) -> tuple[str, str]:
        """How its update went, and how it runs."""
        status = self.resources()[name]["status"]
        return status.get("updateStatus", ""), status.get("runtimeStatus", "")

    def until_ready(self, *names: str) -> None:
        """Wait until all of these are ready; the failure shows the end of the log."""

        def not_ready() -> dict[str, tuple[str, str]]:
            states = {name: self.state(name) for name in names}
            return {name: state for name, state in states.items() if state[1] != "ok"}

        try:
            eventually(lambda: not not_ready(), within=READY_SECONDS, despite=(httpx.HTTPError, KeyError))
        except AssertionError as error:
            raise AssertionError(f"{not_ready()} after {READY_SECONDS:g} s:\n{self.last_lines()}") from error

    def last_lines(self) -> str:
        """The end of what `tilt up` said."""
        return self.log.read_text(errors="replace")[-2000:]

    def press(self, button: str, **inputs: str) -> None:
        """Press a button of Tilt's page and wait until its command has ended well."""
        with httpx.Client(base_url=self.url, timeout=20) as page:
            page.get("/")  # gives the cookie that a press needs
            address = f"{API}/uibuttons/{button}"
            resource = page.get(address).raise_for_status().json()
            fields = [{"name": name, "text": {"value": value}} for name, value in inputs.items()]
            pressed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            resource["status"] = {"lastClickedAt": pressed, "inputs": fields}
            page.put(f"{address}/status", json=resource).raise_for_status()

        def ended() -> dict[str, Any] | None:
            over: dict[str, Any] | None = self._get("cmd", button).get("status", {}).get("terminated")
            # an earlier press has ended before this one
            return over if over and over["startedAt"] >= pressed[:19] else None

        over = eventually(ended, within=READY_SECONDS, saying=f"{button} has done its work", despite=(httpx.HTTPError,))
        assert over is not None
        # nothing is said of a success
        assert over.get("exitCode", 0) == 0, f"{button}: {over}\n{self.last_lines()}"

    def _get(self, *what: str) -> dict[str, Any]:
        code, output = self.run("get", *what, "-o", "json", "--port", self._port)
        if code:
            raise httpx.ConnectError(output)
        found: dict[str, Any] = json.loads(output)
        return found


def disabled(resource: dict[str, Any]) -> bool:
    """Whether somebody has chosen others."""
    return bool(resource["status"].get("disableStatus", {}).get("state") == "Disabled")

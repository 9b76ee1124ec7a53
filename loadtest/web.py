"""What we add to Locust's page: a line that says how the test is going, and the audit as a tab.

`/run.json` has the same for `make loadtest-start`. The audit is one of Locust's own extended tables. Locust's page asks
its server only while a test runs, so for the page a test runs from the press of Start until its audit is over.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Response, jsonify, request
from locust.runners import STATE_CLEANUP, STATE_RUNNING, STATE_SPAWNING, STATE_STOPPING, MasterRunner
from locust.web import WebUI

from loadtest.launch import DEFAULT_USERS, LASTS, SPAWN_SECONDS
from loadtest.report import audit_table, in_words
from loadtest.run import Run
from loadtest.settings import shown
from loadtest.shapes import name_of

UNDER_WAY = (STATE_SPAWNING, STATE_RUNNING, STATE_STOPPING, STATE_CLEANUP)
START_SECONDS = 90.0  # from the press of Start to the first user, at most: the queue has to be empty before a test
SNIPPET = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
HINT = (
    "Choose a number of users or a shape, and press Start. For a shape, the number of users is its peak (for "
    "FindTheLimit, its first step) and the run time is how long it takes, by default "
    f"{LASTS['steady']} (Soak: {LASTS['soak']}; FindTheLimit: {LASTS['find-the-limit']}). Without a shape and a run "
    "time, the test goes on until you press Stop. Afterwards the audit looks for every accepted vote."
)
AUDIT_TAB = {
    "extended_tabs": [{"title": "Audit", "key": "audit"}],
    "extended_tables": [
        {"key": "audit", "structure": [{"key": "checked", "title": "Checked"}, {"key": "found", "title": "Found"}]}
    ],
}


class Page:
    """Our part of Locust's page; `newest` returns the newest run."""

    def __init__(self, web_ui: WebUI, newest: Callable[[], Run | None]) -> None:
        self._environment = web_ui.environment
        self._newest = newest
        self._pressed: float | None = None  # when Start was pressed, until the first user is there
        _change_form(web_ui)
        app = web_ui.app
        assert app is not None
        app.add_url_rule("/run.json", "run.json", lambda: jsonify(self.status()))
        app.before_request(self._forget_run_time)
        app.after_request(self._extend)

    def state(self) -> str:
        """Locust's state, except that a test is under way from the press of Start until its audit is over."""
        assert self._environment.runner is not None
        state: str = self._environment.runner.state
        if state in UNDER_WAY:
            self._pressed = None
            return STATE_SPAWNING if state == STATE_SPAWNING else STATE_RUNNING
        if self._pressed is not None and time.monotonic() - self._pressed < START_SECONDS:
            return STATE_SPAWNING
        return STATE_RUNNING if self._is_auditing() else state

    def status(self) -> dict[str, Any]:
        """The newest run: `running`, `auditing` or `ended`; `words` and `ok` when it has ended."""
        runner, run = self._environment.runner, self._newest()
        under_way = self.state() in (STATE_SPAWNING, STATE_RUNNING)
        state = "auditing" if self._is_auditing() else "running" if under_way else "ended"
        result = run.result if run and state == "ended" else None
        return {
            "state": state,
            "workers": runner.worker_count if isinstance(runner, MasterRunner) else None,
            "run": run.folder.name if run else None,
            "progress": run.progress() if run else "",
            "headline": self._headline(run, state),
            "hint": HINT,
            "words": in_words(result, shown(run.folder)) if run and result else [],
            "ok": result["ok"] if result else None,
        }

    def _is_auditing(self) -> bool:
        run, runner = self._newest(), self._environment.runner
        return run is not None and run.result is None and runner is not None and runner.state not in UNDER_WAY

    def _headline(self, run: Run | None, state: str) -> str:
        if state == "auditing":
            return "The audit is looking for every accepted vote in the database."
        if state == "running" and (run is None or run.result is not None):
            return "Reading the baseline before the first vote: the queue has to be empty."
        if run is None:
            return "Ready for a load test."
        if state == "running":
            options: Any = self._environment.parsed_options
            shape = name_of(self._environment.shape_class)
            lasts = f" (takes {LASTS[shape]})" if shape and not options.run_time else ""
            what = f"{shape}{lasts}, {options.num_users} users at its peak" if shape else "running"
            return f"{what}: {', '.join(part.strip() for part in run.progress().split('  ') if part.strip())}"
        if run.result is not None and run.result["ok"]:
            return "PASSED: every accepted vote was found, and every limit held. Details are in the Audit tab."
        wrong = next((f"{name} {found}" for name, found, is_wrong in audit_table(run)[1:] if is_wrong), "no result")
        return f"FAILED: {wrong}. Details are in the Audit tab."

    def _forget_run_time(self) -> None:
        """Where the form leaves it empty, Locust keeps the time of the test before; a shape would end after it."""
        options = self._environment.parsed_options
        if request.path == "/swarm" and options is not None and not request.form.get("run_time"):
            options.run_time = None

    def _extend(self, response: Response) -> Response:
        """What Locust has no extension point for."""
        if request.path == "/" and response.status_code == 200:
            response.set_data(response.get_data(as_text=True).replace("</body>", f"{SNIPPET}</body>"))
        elif request.path in ("/swarm", "/stop") and response.is_json and response.get_json()["success"]:
            self._pressed = time.monotonic() if request.path == "/swarm" else None
        elif request.path == "/stats/requests" and response.is_json:
            rows = [{"checked": what, "found": found} for what, found, _ in audit_table(self._newest())]
            ours = {"state": self.state(), "extended_stats": [{"key": "audit", "data": rows}]}
            response.set_data(json.dumps(response.get_json() | ours))
        return response


def _change_form(web_ui: WebUI) -> None:
    """What the form starts with, and which of its fields are used: our shapes heed the number of users too."""
    update: Any = web_ui.update_template_args
    options: Any = web_ui.environment.parsed_options

    def update_with_ours() -> None:
        update()
        users = options.num_users or DEFAULT_USERS
        web_ui.template_args |= AUDIT_TAB | {
            "num_users": users,
            "spawn_rate": options.spawn_rate or max(1, users // SPAWN_SECONDS),
            "shape_use_common_options": True,
            "hide_common_options": False,
        }

    web_ui.update_template_args = update_with_ours  # type: ignore[method-assign]
